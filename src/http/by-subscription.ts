// Something kept for each subscription until it is gone: found by one look-up, made when it is first asked for.

export interface BySubscription<T> {
  readonly of: (subscription: string) => T;
  readonly entries: () => Iterable<readonly [subscription: string, kept: T]>;
  /** Drops what is kept for others. */
  readonly retain: (subscriptions: ReadonlySet<string>) => void;
}

/** Where nobody ever calls `retain`, the oldest makes room. */
const MAX_KEPT = 20_000;

export function createBySubscription<T>(create: (subscription: string) => T): BySubscription<T> {
  const kept = new Map<string, T>();

  return {
    of(subscription) {
      const known = kept.get(subscription);
      if (known !== undefined) return known;
      const [oldest] = kept.keys();
      if (oldest !== undefined && kept.size >= MAX_KEPT) kept.delete(oldest);
      const added = create(subscription);
      kept.set(subscription, added);
      return added;
    },
    entries: () => kept.entries(),
    retain(subscriptions) {
      for (const subscription of kept.keys()) if (!subscriptions.has(subscription)) kept.delete(subscription);
    },
  };
}

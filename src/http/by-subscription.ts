// Keeps something for each subscription until it is gone, such as the counts of a Prometheus counter.

import { Counter, type Registry } from "prom-client";

interface BySubscription<T> {
  readonly of: (subscription: string) => T;
  /** null: nothing is kept for it. */
  readonly find: (subscription: string) => T | null;
  readonly entries: () => Iterable<readonly [subscription: string, kept: T]>;
  /** Drops what is kept for others. */
  readonly retain: (subscriptions: ReadonlySet<string>) => void;
}

/** Beyond this, the oldest is dropped. */
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
    find: (subscription) => kept.get(subscription) ?? null,
    entries: () => kept.entries(),
    retain(subscriptions) {
      for (const subscription of kept.keys()) if (!subscriptions.has(subscription)) kept.delete(subscription);
    },
  };
}

interface CountsOptions {
  readonly name: string;
  readonly help: string;
  /** The label beside `subscription`; null: there is none. */
  readonly label: string | null;
  readonly registers: Registry[];
}

interface Counts {
  /** `kind` is the value of the label. */
  add: (subscription: string, kind: string, by?: number) => void;
  /** Forgets the others. */
  retain: (subscriptions: ReadonlySet<string>) => void;
}

/** A counter that costs two map look-ups per count: the client library gets the sums when it is scraped. */
export function createCounts({ name, help, label, registers }: CountsOptions): Counts {
  const counts = createBySubscription(() => new Map<string, number>());
  void new Counter({
    name,
    help,
    labelNames: label === null ? ["subscription"] : ["subscription", label],
    registers,
    collect() {
      this.reset();
      for (const [subscription, kinds] of counts.entries()) {
        for (const [kind, count] of kinds) {
          this.inc(label === null ? { subscription } : { subscription, [label]: kind }, count);
        }
      }
    },
  });

  return {
    add(subscription, kind, by = 1) {
      const kinds = counts.of(subscription);
      kinds.set(kind, (kinds.get(kind) ?? 0) + by);
    },
    retain: counts.retain,
  };
}

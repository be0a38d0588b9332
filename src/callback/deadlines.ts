// One timer for everything that has the same time limit: set anew when it fires, not for each.

export interface Deadlines<T> extends Iterable<T> {
  /** Its time runs from now. */
  add: (entry: T) => void;
  delete: (entry: T) => void;
  /** No timer is left running. */
  stop: () => void;
}

/** `onExpired` is called for each entry that was not deleted within `limitMs`; it is expected to delete it. */
export function createDeadlines<T>(limitMs: number, onExpired: (entry: T) => void): Deadlines<T> {
  /** In the order of their deadlines, since all have the same limit. */
  const deadlines = new Map<T, number>();
  let timer: ReturnType<typeof setTimeout> | null = null;

  function arm(): void {
    const [first] = deadlines.values();
    timer = first === undefined ? null : setTimeout(sweep, Math.max(0, first - performance.now()));
  }

  function sweep(): void {
    const now = performance.now();
    for (const [entry, deadline] of deadlines) {
      if (deadline > now) break;
      onExpired(entry);
    }
    arm();
  }

  return {
    add(entry) {
      deadlines.set(entry, performance.now() + limitMs);
      if (timer === null) arm();
    },
    delete: (entry) => void deadlines.delete(entry),
    stop() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
    [Symbol.iterator]: () => deadlines.keys(),
  };
}

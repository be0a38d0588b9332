// One timer for all entries with the same time limit: it is set when it fires, not for each entry.

import { createSlab } from "#lib/slab.ts";

interface Deadlines<T> extends Iterable<T> {
  /** Starts the entry's time. Returns the key to remove it by. */
  add: (entry: T) => number;
  remove: (place: number) => void;
  /** Stops the timer. */
  stop: () => void;
}

/** Calls `onExpired` for each entry that was not removed within `limitMs`; `onExpired` must remove it. */
export function createDeadlines<T>(limitMs: number, onExpired: (entry: T) => void): Deadlines<T> {
  const running = createSlab<{ readonly entry: T; readonly deadline: number }>();
  let timer: ReturnType<typeof setTimeout> | null = null;

  function arm(): void {
    const delayMs = Math.min(...Array.from(running, ({ deadline }) => deadline)) - performance.now();
    timer = running.size === 0 ? null : setTimeout(sweep, Math.max(0, delayMs));
  }

  function sweep(): void {
    const now = performance.now();
    for (const { entry, deadline } of running) if (deadline <= now) onExpired(entry);
    arm();
  }

  return {
    add(entry) {
      const place = running.add({ entry, deadline: performance.now() + limitMs });
      if (timer === null) arm();
      return place;
    },
    remove: running.remove,
    stop() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
    *[Symbol.iterator]() {
      for (const { entry } of running) yield entry;
    },
  };
}

// Detects a stuck relay for the watchdog: callback calls that are far past their own deadline. Waiting counts as progress.

import type { Callback } from "#callback/client.ts";
import { createSlab } from "#lib/slab.ts";

export interface Progress {
  /** Wraps a callback: each call should end within `limitMs`. */
  readonly watch: (callback: Callback, limitMs: number) => Callback;
  /** By how many milliseconds the latest call is overdue; 0: none is. */
  readonly lateMs: () => number;
}

/** `now`: a monotonic clock in milliseconds. */
export function createProgress({ now }: { readonly now: () => number }): Progress {
  /** Due time of each call. */
  const calls = createSlab<number>();

  /** Returns the call's own promise: watching delays nobody. */
  function watched<T>(limitMs: number, run: () => Promise<T>): Promise<T> {
    const index = calls.add(now() + limitMs);
    const end = () => calls.remove(index);
    const result = run();
    result.then(end, end);
    return result;
  }

  return {
    watch: (callback, limitMs) => ({
      ...callback,
      prepare: (signal) => watched(limitMs, () => callback.prepare(signal)),
      send: (message, options) => watched(limitMs, () => callback.send(message, options)),
    }),
    lateMs() {
      const time = now();
      let latest = 0;
      for (const dueAt of calls) latest = Math.max(latest, time - dueAt);
      return latest;
    },
  };
}

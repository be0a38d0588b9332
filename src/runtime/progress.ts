// Whether the relay gets on. Waiting is progress; a call of a callback that is far past its own deadline is none.

import type { Callback } from "#callback/client.ts";
import { createSlab } from "#lib/slab.ts";

export interface Progress {
  /** The same callback, each call of it expected to end within `limitMs`. */
  readonly watch: (callback: Callback, limitMs: number) => Callback;
  /** Since when, in milliseconds, the call that is latest should have ended; 0: none is late. */
  readonly lateMs: () => number;
}

/** `now`: milliseconds that never go back. */
export function createProgress({ now }: { readonly now: () => number }): Progress {
  /** When each is due. */
  const calls = createSlab<number>();

  /** Its own promise: nobody waits longer for being watched. */
  function watched<T>(limitMs: number, run: () => Promise<T>): Promise<T> {
    const place = calls.add(now() + limitMs);
    const end = () => calls.remove(place);
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

// How many letters a replay begins in a second.

import { sleep } from "#lib/sleep.ts";

/** Waits until the next one may begin; null: at once. False: `signal` aborted. */
export function createPace(perSecond: number | null): (signal: AbortSignal) => Promise<boolean> {
  let nextAt = 0;
  return async (signal) => {
    if (perSecond === null) return true;
    const now = performance.now();
    const waitMs = nextAt - now;
    nextAt = Math.max(nextAt, now) + 1000 / perSecond;
    return waitMs <= 0 || sleep(waitMs, signal);
  };
}

// Backoff shared by subscriptions that wait for the same reason, such as a stream that takes no more consumers: a few retry at
// any time, and each success wakes some others.

import { sleep } from "#lib/sleep.ts";

export interface SharedBackoff {
  /** Waits `delayMs`, or longer if many wait for that reason. False: `signal` aborted. Never rejects. */
  readonly wait: (
    reason: string,
    options: { readonly delayMs: number; readonly signal: AbortSignal },
  ) => Promise<boolean>;
  /** A subscription that waited for that reason runs: up to 16 others retry at once. */
  readonly passed: (reason: string) => void;
}

/** Up to this many waiters per reason, the delay stays as it is. */
const UNHINDERED = 60;
const WOKEN = 16;

export function createSharedBackoff(random: () => number = Math.random): SharedBackoff {
  const waiting = new Map<string, Set<() => void>>();

  return {
    async wait(reason, { delayMs, signal }) {
      const others = waiting.get(reason) ?? new Set();
      waiting.set(reason, others);
      const waking = new AbortController();
      const wake = () => waking.abort();
      others.add(wake);
      // Spread from the usual delay upwards: they all began at once, and some should retry soon.
      const stretch = Math.max(0, others.size / UNHINDERED - 1) * random();
      await sleep(delayMs * (1 + stretch), AbortSignal.any([signal, waking.signal]));
      others.delete(wake);
      if (others.size === 0 && waiting.get(reason) === others) waiting.delete(reason);
      return !signal.aborted;
    },
    passed(reason) {
      for (const wake of waiting.get(reason)?.values().take(WOKEN) ?? []) wake();
    },
  };
}

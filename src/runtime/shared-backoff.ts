// How long a subscription that cannot run waits until it tries again: where very many wait for one reason, such as a stream that
// takes no more consumers, a few try at any time, and the first that gets on wakes others.

import { sleep } from "#lib/sleep.ts";

export interface SharedPause {
  /** Waits `delayMs`, or longer where many wait for that reason. False: `signal` aborted. Never rejects. */
  readonly wait: (
    reason: string,
    options: { readonly delayMs: number; readonly signal: AbortSignal },
  ) => Promise<boolean>;
  /** One that waited for it got on: some of the others try at once, and each that gets on too wakes as many. */
  readonly passed: (reason: string) => void;
}

/** So many wait for one reason as if they were alone. */
const UNHINDERED = 60;
const WOKEN = 16;

export function createSharedPause(random: () => number = Math.random): SharedPause {
  const waiting = new Map<string, Set<() => void>>();

  return {
    async wait(reason, { delayMs, signal }) {
      const others = waiting.get(reason) ?? new Set();
      waiting.set(reason, others);
      const waking = new AbortController();
      const wake = () => waking.abort();
      others.add(wake);
      // Spread from the usual delay on: all of them began at once, and somebody is to try soon.
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

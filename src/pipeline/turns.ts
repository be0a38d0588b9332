// The slots of a subscription, which live messages and replays take in turns, and the pauses that its callback asks for.

import type { RetryPause } from "#delivery/policy.ts";
import { createLimiter } from "#lib/limiter.ts";
import { sleep } from "#lib/sleep.ts";

export interface Turns {
  /**
   * Waits for a slot outside of any pause, and returns at once if one is free. True: the caller owes one `end`. False:
   * `signal` aborted first. Never rejects.
   */
  begin: (signal: AbortSignal, line?: "live" | "replay") => true | Promise<boolean>;
  end: () => void;
  /** The callback asked for a pause: start nothing during the next `holdMs`. */
  hold: (holdMs: number) => void;
  /** How long the pause still lasts; 0: none. */
  readonly holdMs: number;
  /** One message waits by itself, until `wake`: false when `signal` aborts first. Never rejects. */
  wait: (delayMs: number, signal: AbortSignal) => Promise<boolean>;
  /** One message waits for its retry; `wake` ends the pause that its callback asked for, not the delay. Else as `wait`. */
  waitForRetry: (pause: RetryPause, signal: AbortSignal) => Promise<boolean>;
  /** Ends all pauses: their reason was changed. */
  wake: () => void;
  /** Aborts at the next `wake`: an attempt that is answered later asks for no pause. */
  readonly waking: AbortSignal;
  /** Changes the number of slots; attempts in progress continue. */
  resize: (places: number) => void;
  readonly taken: number;
}

const LINES = { live: 0, replay: 1 };

/** `onHold` is called when a pause begins. */
export function createTurns(
  places: number,
  { onHold = () => undefined }: { readonly onHold?: (holdMs: number) => void } = {},
): Turns {
  const slots = createLimiter(places, { lines: 2 });
  let holdUntil = 0;
  let waking = new AbortController();

  /** On the hot path: usually there is no pause. */
  function holdMsNow(): number {
    return holdUntil === 0 ? 0 : Math.max(0, holdUntil - performance.now());
  }

  function hold(holdMs: number): void {
    if (holdMs <= 0) return;
    const isNew = holdMsNow() === 0;
    holdUntil = Math.max(holdUntil, performance.now() + holdMs);
    if (isNew) onHold(holdMs);
  }

  async function wait(delayMs: number, signal: AbortSignal): Promise<boolean> {
    await sleep(delayMs, AbortSignal.any([signal, waking.signal]));
    return !signal.aborted;
  }

  function begin(signal: AbortSignal, line: "live" | "replay" = "live"): true | Promise<boolean> {
    const isFree = !signal.aborted && holdMsNow() === 0 && slots.tryAcquire(LINES[line]);
    return isFree || waitForSlot(signal, line);
  }

  async function waitForSlot(signal: AbortSignal, line: "live" | "replay"): Promise<boolean> {
    for (;;) {
      if (!(await slots.acquire(signal, LINES[line]))) return false;
      const holdMs = holdMsNow();
      if (holdMs === 0) return true;
      slots.release();
      if (!(await wait(holdMs, signal))) return false;
    }
  }

  return {
    begin,
    end: slots.release,
    resize: slots.resize,
    hold,
    get holdMs() {
      return holdMsNow();
    },
    wait,
    async waitForRetry({ delayMs, askedMs }, signal) {
      await Promise.all([sleep(delayMs, signal), wait(askedMs, signal)]);
      return !signal.aborted;
    },
    wake() {
      holdUntil = 0;
      waking.abort();
      waking = new AbortController();
    },
    get waking() {
      return waking.signal;
    },
    get taken() {
      return slots.taken;
    },
  };
}

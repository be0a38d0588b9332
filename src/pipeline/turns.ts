// The connection slots of a subscription, which live messages and replayed ones take in turns, and the pauses that its callback asks for.

import type { RetryPause } from "#delivery/policy.ts";
import { createLimiter } from "#lib/limiter.ts";
import { sleep } from "#lib/sleep.ts";

export interface Turns {
  /**
   * Waits for a slot outside of any pause: true, and the caller owes one `end`; at once where one is free. False when
   * `signal` aborts first. Never rejects.
   */
  begin: (signal: AbortSignal, line?: "live" | "replay") => true | Promise<boolean>;
  end: () => void;
  /** The callback asked for it: nothing begins during the next `holdMs`. */
  hold: (holdMs: number) => void;
  /** For how long nothing begins; 0: it does. */
  readonly holdMs: number;
  /** One message waits by itself, until `wake`: false when `signal` aborts first. Never rejects. */
  wait: (delayMs: number, signal: AbortSignal) => Promise<boolean>;
  /** One message waits for its retry; `wake` ends what its callback asked for, not the delay. As `wait` else. */
  waitForRetry: (pause: RetryPause, signal: AbortSignal) => Promise<boolean>;
  /** All pauses are over: somebody has changed what they were for. */
  wake: () => void;
  /** Aborts at the next `wake`: what an attempt is answered after that asks for no pause any more. */
  readonly waking: AbortSignal;
  /** So many slots from now on; what has begun goes on. */
  resize: (places: number) => void;
  readonly taken: number;
}

const LINES = { live: 0, replay: 1 };

/** `onHold` is told when a hold begins. */
export function createTurns(
  places: number,
  { onHold = () => undefined }: { readonly onHold?: (holdMs: number) => void } = {},
): Turns {
  const slots = createLimiter(places, { lines: 2 });
  let holdUntil = 0;
  let waking = new AbortController();

  /** On the hot path: mostly there is no hold. */
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

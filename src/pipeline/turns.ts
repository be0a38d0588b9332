// The slots of a subscription, which live messages and replays take in turns, at its pace: pauses that its callback asks for, its
// rate limit, and the ramp after an outage.

import type { Exchange } from "#delivery/exchange.ts";
import type { RetryPause } from "#delivery/policy.ts";
import type { RateLimit } from "#delivery/subscription.ts";
import { createLimiter } from "#lib/limiter.ts";
import { sleep } from "#lib/sleep.ts";
import { createTokenBucket, type Rate, type TokenBucket } from "#lib/token-bucket.ts";
import { createRamp } from "./ramp.ts";

/** How fast a subscription may send at present. */
export interface Pace {
  /** Requests at a time. */
  readonly places: number;
  /** Requests a second; null: no limit. */
  readonly perSecond: number | null;
  /** How long nothing may start, for a pause or the rate limit; 0: something may. */
  readonly waitMs: number;
}

export interface Turns {
  /**
   * Waits for a slot outside of any pause, and returns at once if one is free. True: the caller owes one `end`. False:
   * `signal` aborted first. Never rejects.
   */
  begin: (signal: AbortSignal, line?: "live" | "replay") => true | Promise<boolean>;
  /** `exchange`: what was sent; null: nothing was (as where an expression failed), and the turn does not count for the rate limit. */
  end: (exchange: Pick<Exchange, "outcome" | "durationMs"> | null) => void;
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
  /** Changes the number of slots and the rate limit; attempts in progress continue, and so does what is left of the rate. */
  resize: (places: number, rateLimit: RateLimit | null) => void;
  /** The subscription was interrupted: begins with one request at a time. */
  restart: () => void;
  readonly pace: Pace;
  readonly taken: number;
}

interface TurnsOptions {
  readonly rateLimit?: RateLimit | null;
  /** Called when a pause begins. */
  readonly onHold?: (holdMs: number) => void;
}

const LINES = { live: 0, replay: 1 };
/** A long wait is looked at again: whoever waited may be gone. */
const LOOK_AGAIN_MS = 60_000;

export function createTurns(
  initialPlaces: number,
  { rateLimit = null, onHold = () => undefined }: TurnsOptions = {},
): Turns {
  const ramp = createRamp(initialPlaces);
  const slots = createLimiter(initialPlaces, { lines: 2, admit });
  let bucket: TokenBucket | null = rateLimit === null ? null : createTokenBucket(toRate(rateLimit));
  let places = initialPlaces;
  let holdUntil = 0;
  let waking = new AbortController();
  let timer: ReturnType<typeof setTimeout> | null = null;

  /** On the hot path: usually there is no pause. */
  function holdMsNow(): number {
    return holdUntil === 0 ? 0 : Math.max(0, holdUntil - performance.now());
  }

  /** Takes what the next request needs, or looks again when it will be there. */
  function admit(): boolean {
    const now = performance.now();
    const delayMs = Math.max(holdMsNow(), bucket?.delayMs(now) ?? 0, ramp.delayMs(now));
    if (delayMs > 0) {
      lookAgainIn(delayMs);
      return false;
    }
    bucket?.take(now);
    ramp.started(now);
    return true;
  }

  function lookAgainIn(delayMs: number): void {
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(lookAgain, Math.min(LOOK_AGAIN_MS, Math.ceil(delayMs)));
  }

  function lookAgain(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    slots.retry();
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
    const isFree = !signal.aborted && slots.tryAcquire(LINES[line]);
    return isFree || slots.acquire(signal, LINES[line]);
  }

  function end(exchange: Pick<Exchange, "outcome" | "durationMs"> | null): void {
    if (exchange === null || exchange.outcome.kind === "expression") bucket?.giveBack();
    else {
      const now = performance.now();
      const startedAt = now - exchange.durationMs;
      ramp.ended(exchange.outcome, { startedAt, now, inFlight: slots.taken });
      followRamp();
    }
    slots.release();
  }

  function followRamp(): void {
    if (ramp.places === places) return;
    places = ramp.places;
    slots.resize(places);
  }

  function setRateLimit(next: RateLimit | null): void {
    if (next === null) bucket = null;
    else if (bucket === null) bucket = createTokenBucket(toRate(next));
    else bucket.change(toRate(next), performance.now());
  }

  return {
    begin,
    end,
    resize(next, nextRateLimit) {
      setRateLimit(nextRateLimit);
      ramp.resize(next);
      followRamp();
      lookAgain();
    },
    restart() {
      ramp.restart();
      followRamp();
    },
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
      ramp.forget();
      waking.abort();
      waking = new AbortController();
      lookAgain();
    },
    get waking() {
      return waking.signal;
    },
    get pace() {
      const rates = [bucket?.perSecond ?? null, ramp.perSecond].filter((rate) => rate !== null);
      return {
        places: ramp.places,
        perSecond: rates.length === 0 ? null : Math.min(...rates),
        waitMs: Math.max(holdMsNow(), bucket?.delayMs(performance.now()) ?? 0),
      };
    },
    get taken() {
      return slots.taken;
    },
  };
}

function toRate({ requests, perSeconds, burst }: RateLimit): Rate {
  return { perSecond: requests / perSeconds, burst };
}

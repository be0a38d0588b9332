// A token bucket (GCRA): starts full and refills evenly, on a clock that its owner reads. PURE.

export interface Rate {
  /** Tokens a second; more than 0. */
  readonly perSecond: number;
  /** Tokens in a full bucket, at least 1; may be a fraction. */
  readonly burst: number;
}

export interface TokenBucket {
  /** The present rate. */
  readonly perSecond: number;
  /** Milliseconds until a token is available; 0: now. */
  delayMs: (now: number) => number;
  /** Takes a token, even if none is available. */
  take: (now: number) => void;
  /** Puts an unused token back. */
  giveBack: () => void;
  /** Changes the rate and keeps the tokens, up to the new burst. */
  change: (rate: Rate, now: number) => void;
}

/** The rounding error of a sum of fractions. */
const ERROR_MS = 1e-6;

export function createTokenBucket(initial: Rate): TokenBucket {
  let { burst, perSecond } = initial;
  let intervalMs = 1000 / perSecond;
  /** The time at which the bucket will be full. */
  let fullAt = Number.NEGATIVE_INFINITY;

  return {
    get perSecond() {
      return perSecond;
    },
    delayMs(now) {
      const delayMs = fullAt - now - (burst - 1) * intervalMs;
      return delayMs > ERROR_MS ? delayMs : 0;
    },
    take(now) {
      fullAt = Math.max(fullAt, now) + intervalMs;
    },
    giveBack() {
      fullAt -= intervalMs;
    },
    change(rate, now) {
      const tokens = Math.min(rate.burst, burst - Math.max(0, fullAt - now) / intervalMs);
      ({ burst, perSecond } = rate);
      intervalMs = 1000 / perSecond;
      fullAt = now + (burst - tokens) * intervalMs;
    },
  };
}

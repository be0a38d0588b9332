// A token bucket (GCRA): starts full and refills evenly, on a clock that its owner reads. PURE.

export interface Rate {
  /** Tokens a second; more than 0. */
  readonly perSecond: number;
  /** Tokens of a full bucket, at least 1; fractions count. */
  readonly burst: number;
}

export interface TokenBucket {
  /** Of its rate. */
  readonly perSecond: number;
  /** How long until a token is there, in milliseconds; 0: one is there now. */
  delayMs: (now: number) => number;
  /** Takes one, whether it is there or not. */
  take: (now: number) => void;
  /** Puts one back that was not used. */
  giveBack: () => void;
  /** Goes on with the tokens that are there; no more of them than the new burst. */
  change: (rate: Rate, now: number) => void;
}

/** Of a sum of fractions. */
const ERROR_MS = 1e-6;

export function createTokenBucket(initial: Rate): TokenBucket {
  let { burst, perSecond } = initial;
  let intervalMs = 1000 / perSecond;
  /** When the bucket will be full. */
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

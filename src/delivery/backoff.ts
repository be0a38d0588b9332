// How long to wait before a retry.

export type Retry =
  | { readonly kind: "none" }
  | {
      readonly kind: "linear" | "exponential";
      /** Retries after the first call. */
      readonly maxAttempts: number;
      readonly initialDelayMs: number;
      readonly maxDelayMs: number;
    };

export type ActiveRetry = Exclude<Retry, { kind: "none" }>;

const JITTER = 0.1;
/** For messages that are not retried. */
const DEFAULT_MAX_PAUSE_MS = 60_000;

/** The maximum pause that `Retry-After` can ask for. */
export function maxPauseMsOf(retry: Retry): number {
  return retry.kind === "none" ? DEFAULT_MAX_PAUSE_MS : retry.maxDelayMs;
}

/**
 * The delay before retry `retryNumber` (1 is the first): linear or exponential up to the maximum, then up to 10 % on
 * top of it. `random` is in [0, 1).
 */
export function retryDelayMs(retry: ActiveRetry, retryNumber: number, random: number): number {
  const factor = retry.kind === "linear" ? retryNumber : 2 ** (retryNumber - 1);
  const base = Math.min(retry.maxDelayMs, retry.initialDelayMs * factor);
  return Math.round(base * (1 + JITTER * random));
}

/** The delay before try `tryNumber` (1 is the first) of an endless repetition: doubling, with ±25 % of jitter. */
export function repeatDelayMs(
  tryNumber: number,
  { initialMs, maxMs, random }: { initialMs: number; maxMs: number; random: number },
): number {
  return Math.round(Math.min(maxMs, initialMs * 2 ** (tryNumber - 1)) * (0.75 + random / 2));
}

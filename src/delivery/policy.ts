// Decides from an outcome what happens to the message: the decision table, as one pure function.

import { type ActiveRetry, maxPauseMsOf, type Retry, retryDelayMs } from "./backoff.ts";
import type { FailedOutcome, Failure, Outcome } from "./outcome.ts";

export type Qos = "NONE" | "AUTO" | "AT_MOST_ONCE" | "AT_LEAST_ONCE";

export interface Policy {
  readonly retry: Retry;
  readonly hasDeadLetters: boolean;
  readonly interruptOnServerError: boolean;
  readonly interruptOnException: boolean;
}

/** How long a message waits for its retry: both delays run at the same time. */
export interface RetryPause {
  readonly delayMs: number;
  /** The pause that its callback asked for. */
  readonly askedMs: number;
}

export type Action =
  | { readonly kind: "ack" }
  | (RetryPause & { readonly kind: "retry"; readonly failure: Failure })
  | { readonly kind: "dead-letter"; readonly failure: Failure }
  | { readonly kind: "drop"; readonly failure: Failure }
  | { readonly kind: "interrupt"; readonly failure: Failure };

const RETRIED_REJECTIONS: ReadonlySet<number> = new Set([408, 425, 429]);
const HOLDING_STATUSES: ReadonlySet<number> = new Set([429, 503]);

interface Circumstances {
  /** 1 is the first. */
  readonly attempt: number;
  /** False if the message may not be sent again. */
  readonly mayRetry: boolean;
  /** False if the pause that the callback asked for was ended meanwhile. */
  readonly heedsRetryAfter: boolean;
  /** In [0, 1). */
  readonly random: number;
}

export function decide(outcome: Outcome, policy: Policy, circumstances: Circumstances): Action {
  if (outcome.kind === "delivered") return { kind: "ack" };
  const { retry } = policy;
  const { attempt, mayRetry } = circumstances;
  if ("isStop" in outcome && outcome.isStop) return { kind: "interrupt", failure: outcome };
  if (mayRetry && retry.kind !== "none" && attempt <= retry.maxAttempts && isRetried(outcome)) {
    return { kind: "retry", failure: outcome, ...toPause(outcome, retry, circumstances) };
  }
  if (isInterrupting(outcome, policy)) return { kind: "interrupt", failure: outcome };
  return policy.hasDeadLetters
    ? { kind: "dead-letter", failure: outcome }
    : { kind: "drop", failure: outcome };
}

function isRetried(failure: FailedOutcome): boolean {
  if (failure.kind === "expression") return false;
  if (failure.kind !== "rejected") return true;
  return failure.isRetried ?? RETRIED_REJECTIONS.has(failure.status);
}

function toPause(
  failure: FailedOutcome,
  retry: ActiveRetry,
  { attempt, heedsRetryAfter, random }: Circumstances,
): RetryPause {
  const delayMs = retryDelayMs(retry, attempt, random);
  const askedMs = heedsRetryAfter && "status" in failure ? askedOf(failure, retry) : 0;
  return { delayMs, askedMs };
}

/** How long the whole subscription pauses, whatever happens to this message. */
export function holdMsOf(outcome: Outcome, retry: Retry): number {
  switch (outcome.kind) {
    case "expression":
      return 0;
    case "exception":
      return outcome.retryAfterMs ?? 0;
    case "delivered":
    case "rejected":
    case "server-error":
      return HOLDING_STATUSES.has(outcome.status) ? askedOf(outcome, retry) : 0;
  }
}

function askedOf({ retryAfterMs }: { readonly retryAfterMs?: number | null }, retry: Retry): number {
  return Math.min(maxPauseMsOf(retry), Math.max(0, retryAfterMs ?? 0));
}

function isInterrupting(failure: FailedOutcome, policy: Policy): boolean {
  switch (failure.kind) {
    case "rejected":
    case "expression":
      return !policy.hasDeadLetters;
    case "server-error":
      return policy.interruptOnServerError;
    case "exception":
      return policy.interruptOnException;
  }
}

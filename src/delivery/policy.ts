// From an outcome to what is done about the message: the decision table, as one pure function.

import { type ActiveRetry, type Retry, retryDelayMs } from "./backoff.ts";
import type { Failure, Outcome } from "./outcome.ts";

export type Qos = "NONE" | "AUTO" | "AT_MOST_ONCE" | "AT_LEAST_ONCE";

export interface Policy {
  readonly retry: Retry;
  readonly hasDeadLetters: boolean;
  readonly interruptOnServerError: boolean;
  readonly interruptOnException: boolean;
}

export type Action =
  | { readonly kind: "ack" }
  /** Try again after `delayMs`; nothing of the subscription is sent during the next `holdMs`. */
  | { readonly kind: "retry"; readonly failure: Failure; readonly delayMs: number; readonly holdMs: number }
  | { readonly kind: "dead-letter"; readonly failure: Failure }
  | { readonly kind: "drop"; readonly failure: Failure }
  | { readonly kind: "interrupt"; readonly failure: Failure };

const RETRIED_REJECTIONS: ReadonlySet<number> = new Set([408, 425, 429]);
const HOLDING_STATUSES: ReadonlySet<number> = new Set([429, 503]);

/**
 * Decides about attempt `attempt` (1 is the first). `mayRetry` is false where the message may not be sent again.
 * `random` is in [0, 1).
 */
export function decide(
  outcome: Outcome,
  policy: Policy,
  { attempt, mayRetry, random }: { attempt: number; mayRetry: boolean; random: number },
): Action {
  if (outcome.kind === "delivered") return { kind: "ack" };
  const { retry } = policy;
  if (mayRetry && retry.kind !== "none" && attempt <= retry.maxAttempts && isRetried(outcome)) {
    return toRetry(outcome, retry, { attempt, random });
  }
  if (isInterrupting(outcome, policy)) return { kind: "interrupt", failure: outcome };
  return policy.hasDeadLetters
    ? { kind: "dead-letter", failure: outcome }
    : { kind: "drop", failure: outcome };
}

function isRetried(failure: Failure): boolean {
  return failure.kind !== "rejected" || RETRIED_REJECTIONS.has(failure.status);
}

function toRetry(
  failure: Failure,
  retry: ActiveRetry,
  { attempt, random }: { attempt: number; random: number },
): Action {
  if (failure.kind === "exception") {
    const delayMs = retryDelayMs(retry, attempt, { retryAfterMs: null, random });
    return { kind: "retry", failure, delayMs, holdMs: 0 };
  }
  const { retryAfterMs, status } = failure;
  const holds = retryAfterMs !== null && HOLDING_STATUSES.has(status);
  return {
    kind: "retry",
    failure,
    delayMs: retryDelayMs(retry, attempt, { retryAfterMs, random }),
    holdMs: holds ? Math.min(retryAfterMs, retry.maxDelayMs) : 0,
  };
}

function isInterrupting(failure: Failure, policy: Policy): boolean {
  switch (failure.kind) {
    case "rejected":
      return !policy.hasDeadLetters;
    case "server-error":
      return policy.interruptOnServerError;
    case "exception":
      return policy.interruptOnException;
  }
}

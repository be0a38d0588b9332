// The outcome of one attempt: the callback's answer, or an exception.

import { meaningOf, type Responses } from "./responses.ts";

/** Where an exception arose. */
export type ExceptionCode =
  | "dns"
  | "connect"
  | "connect-timeout"
  | "tls"
  | "proxy"
  | "token"
  | "address-denied"
  | "timeout"
  | "reset"
  | "bad-response"
  /** This process is out of file descriptors: nothing was sent, and it says nothing about the callback. */
  | "descriptors"
  /** The relay's own disk failed: the message must not be sent without a record of it. */
  | "journal";

export interface Exception {
  readonly kind: "exception";
  readonly code: ExceptionCode;
  /** For people: what failed and why, without a secret. */
  readonly error: string;
  /** The pause that the token endpoint asked for by `Retry-After`. Absent: none. */
  readonly retryAfterMs?: number;
}

interface Refusal {
  readonly kind: "rejected" | "server-error";
  readonly status: number;
  readonly retryAfterMs: number | null;
  /** Of a rejection that `responses` names: whether it is retried. Absent: its status decides. */
  readonly isRetried?: boolean;
  /** The callback does not want the subscription any more. */
  readonly isStop?: boolean;
  /** The beginning of the answer, on one line and without secrets. Absent: there is no text in it, or it is not kept. */
  readonly excerpt?: string;
}

/** An expression failed for the message, or what it made cannot be sent: nothing was sent, and nothing will be. */
export interface ExpressionFault {
  readonly kind: "expression";
  /** For people: which expression, and what was wrong. */
  readonly error: string;
}

interface Delivered {
  readonly kind: "delivered";
  readonly status: number;
  /** Of a 429 or a 503 that counts as delivered. Absent: none. */
  readonly retryAfterMs?: number;
}

export type Outcome = Delivered | Refusal | Exception | ExpressionFault;

/** It was older than `maxAgeSeconds` when its turn came: it was not sent. */
export interface Expiry {
  readonly kind: "expired";
  /** For people. */
  readonly error: string;
}

/** Of an attempt. */
export type FailedOutcome = Exclude<Outcome, { kind: "delivered" }>;

export type Failure = FailedOutcome | Expiry;

/** The outcome that a status means: 2xx delivered, 5xx and above a server error, any other a rejection, unless `responses` differ. */
export function toOutcome(status: number, retryAfterMs: number | null, responses: Responses = []): Outcome {
  const meaning = responses.length === 0 ? null : meaningOf(status, responses);
  switch (meaning) {
    case null:
      return toUsualOutcome(status, retryAfterMs);
    case "delivered":
      return { kind: "delivered", status, ...(retryAfterMs === null ? {} : { retryAfterMs }) };
    case "server-error":
      return { kind: "server-error", status, retryAfterMs };
    case "rejected":
    case "retry":
    case "stop": {
      const isStop = meaning === "stop" ? { isStop: true } : {};
      return { kind: "rejected", status, retryAfterMs, isRetried: meaning === "retry", ...isStop };
    }
  }
}

function toUsualOutcome(status: number, retryAfterMs: number | null): Outcome {
  if (status >= 200 && status < 300) return { kind: "delivered", status };
  if (status >= 500) return { kind: "server-error", status, retryAfterMs };
  return { kind: "rejected", status, retryAfterMs };
}

/** The status for the delivery log and dead letters: 0 without a response. */
export function statusOf(outcome: Outcome | Expiry): number {
  return "status" in outcome ? outcome.status : 0;
}

/** One line for logs, failure causes and `Relay-Error`. */
export function describeOutcome(outcome: Outcome | Expiry): string {
  if ("error" in outcome) return outcome.error;
  const excerpt = "excerpt" in outcome && outcome.excerpt !== undefined ? `: ${outcome.excerpt}` : "";
  return `Callback answered ${outcome.status}${excerpt}`;
}

/** The line without what the callback wrote: for those who may not see an answer. */
export function withoutExcerpt(line: string): string {
  return line.replace(/^(Callback answered \d{1,3}): .*$/su, "$1");
}

// A record of the delivery log: the attempts of a message, their outcomes, and the configured part of the last exchange.

import type { StatusFilter } from "./letter.ts";
import type { Header } from "./message.ts";
import { type Outcome, statusOf } from "./outcome.ts";

/** What is kept besides the facts. */
export interface Logging {
  readonly requestHeaders: boolean;
  readonly requestBody: boolean;
  readonly responseHeaders: boolean;
  readonly responseBody: boolean;
}

/** Which messages are recorded; failures always are. */
export type Sampling =
  /** The first, then every n-th. */
  | { readonly kind: "count"; readonly every: number }
  | { readonly kind: "probability"; readonly share: number }
  /** One in this time. */
  | { readonly kind: "temporal"; readonly everyMs: number }
  | { readonly kind: "windowed-count"; readonly count: number; readonly windowMs: number }
  | { readonly kind: "all" };

export interface RecordSettings {
  readonly logging: Logging;
  readonly sampling: Sampling;
}

export interface RecordedAttempt {
  readonly date: Date;
  /** 0: there was no response. */
  readonly status: number;
  readonly durationMs: number;
  /** Of an exception. */
  readonly error: string | null;
}

/** One side of an exchange; null: not asked for. */
export interface Capture {
  readonly headers: readonly Header[] | null;
  readonly body: Uint8Array | null;
  /** There was more of the body. */
  readonly isCut: boolean;
}

export interface DeliveryRecord {
  /** When the first attempt began. */
  readonly date: Date;
  readonly entrypoint: string;
  readonly subscription: string;
  readonly application: string | null;
  readonly method: string;
  /** As it may be shown. */
  readonly callbackUrl: string;
  readonly webhookId: string;
  /** Of the last attempt. */
  readonly status: number;
  /** Of the last attempt. */
  readonly durationMs: number;
  /** The newest 100. */
  readonly attempts: readonly RecordedAttempt[];
  /** Of the last attempt; null: it was delivered. */
  readonly error: string | null;
  readonly deadLettered: boolean;
  /** null: nothing of it was asked for, or there was none. */
  readonly request: Capture | null;
  readonly response: Capture | null;
}

/** null: whatever it is. */
export interface RecordFilter {
  readonly status: StatusFilter | null;
  readonly subscription: string | null;
  readonly application: string | null;
  readonly entrypoint: string | null;
  /** A part of the URL. */
  readonly callbackUrl: string | null;
  /** Inclusive. */
  readonly from: Date | null;
  /** Exclusive. */
  readonly to: Date | null;
}

export const EVERY_RECORD: RecordFilter = {
  status: null,
  subscription: null,
  application: null,
  entrypoint: null,
  callbackUrl: null,
  from: null,
  to: null,
};

export const MAX_ATTEMPTS = 100;

export function toRecordedAttempt({
  startedAt: date,
  durationMs,
  outcome,
}: {
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly outcome: Outcome;
}): RecordedAttempt {
  const error = outcome.kind === "exception" ? outcome.error : null;
  return { date, status: statusOf(outcome), durationMs, error };
}

// A record of the delivery log: the attempts of a message, their outcomes, and the configured part of the last exchange.

import type { StatusFilter } from "./letter.ts";
import type { Header, MessageName } from "./message.ts";
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

export interface RecordedMessage extends MessageName {
  readonly subject: string;
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
  readonly message: RecordedMessage;
  /** Of the last attempt. */
  readonly status: number;
  /** Of the last attempt. */
  readonly durationMs: number;
  /** The newest 100. */
  readonly attempts: readonly RecordedAttempt[];
  /** Of the last attempt; null: it was delivered. */
  readonly error: string | null;
  /** null: it is no dead letter. */
  readonly deadLetterId: string | null;
  /** null: nothing of it was asked for, or there was none. */
  readonly request: Capture | null;
  readonly response: Capture | null;
}

/** A list means any of its values; empty: whatever it is. */
export interface RecordFilter {
  readonly status: readonly StatusFilter[];
  readonly subscription: readonly string[];
  readonly application: readonly string[];
  readonly entrypoint: readonly string[];
  /** A part of the URL. */
  readonly callbackUrl: readonly string[];
  readonly sequence: readonly number[];
  /** NATS filters. */
  readonly subject: readonly string[];
  /** The messages themselves, whatever their subject. */
  readonly message: readonly MessageName[];
  /** null: whatever it is. Inclusive. */
  readonly from: Date | null;
  /** null: whatever it is. Exclusive. */
  readonly to: Date | null;
}

export const EVERY_RECORD: RecordFilter = {
  status: [],
  subscription: [],
  application: [],
  entrypoint: [],
  callbackUrl: [],
  sequence: [],
  subject: [],
  message: [],
  from: null,
  to: null,
};

/** Whether one of the filters takes that status. */
export function isStatus(status: number, filters: readonly StatusFilter[]): boolean {
  return filters.some((one) =>
    one.kind === "exact" ? status === one.status : Math.floor(status / 100) === one.hundreds,
  );
}

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
  const error = "error" in outcome ? outcome.error : null;
  return { date, status: statusOf(outcome), durationMs, error };
}

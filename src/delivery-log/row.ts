// Converts a record to a row of the file, and back.

import type { Header } from "#delivery/message.ts";
import type { Capture, DeliveryRecord, RecordedAttempt } from "#delivery/record.ts";
import type { Row, Value } from "./statements.ts";

/** A record as stored, with its id. */
export interface StoredRecord extends DeliveryRecord {
  /** Increases with each record. */
  readonly id: number;
}

const REQUEST_CUT = 1;
const RESPONSE_CUT = 2;

type PackedAttempt = readonly [dateMs: number, status: number, durationMs: number, error: string | null];

/** The values in the order of the columns. */
export function toValues(id: number, record: DeliveryRecord): Value[] {
  const { request, response } = record;
  return [
    id,
    record.date.getTime(),
    record.status,
    record.entrypoint,
    record.subscription,
    record.application,
    record.method,
    record.callbackUrl,
    record.message.stream,
    record.message.sequence,
    record.message.timeToken,
    record.message.subject,
    record.deadLetterId,
    record.durationMs,
    record.error,
    packAttempts(record),
    (request?.isCut === true ? REQUEST_CUT : 0) + (response?.isCut === true ? RESPONSE_CUT : 0),
    packHeaders(request),
    packHeaders(response),
    request?.body ?? null,
    response?.body ?? null,
  ];
}

export function toStoredRecord(row: Row): StoredRecord {
  const { id, status, error } = row;
  const date = new Date(row.date);
  const durationMs = row.duration_ms;
  return {
    id,
    date,
    entrypoint: row.entrypoint,
    subscription: row.subscription,
    application: row.application,
    method: row.method,
    callbackUrl: row.callback_url,
    message: {
      stream: row.stream,
      sequence: row.sequence,
      timeToken: row.time_token,
      subject: row.subject,
    },
    status,
    durationMs,
    attempts:
      row.attempts === null ? [{ date, status, durationMs, error: null }] : unpackAttempts(row.attempts),
    error,
    deadLetterId: row.dead_letter_id,
    request: toCapture(row.request_headers, { body: row.request_body, isCut: (row.cuts & REQUEST_CUT) > 0 }),
    response: toCapture(row.response_headers, {
      body: row.response_body,
      isCut: (row.cuts & RESPONSE_CUT) > 0,
    }),
  };
}

function packAttempts({ attempts }: DeliveryRecord): string | null {
  const [first] = attempts;
  if (attempts.length === 1 && first !== undefined && first.error === null) return null;
  return JSON.stringify(
    attempts.map(({ date, status, durationMs, error }): PackedAttempt => [
      date.getTime(),
      status,
      durationMs,
      error,
    ]),
  );
}

function unpackAttempts(text: string): RecordedAttempt[] {
  const packed = JSON.parse(text) as readonly PackedAttempt[];
  return packed.map(([dateMs, status, durationMs, error]) => ({
    date: new Date(dateMs),
    status,
    durationMs,
    error,
  }));
}

function packHeaders(capture: Capture | null): string | null {
  return capture === null || capture.headers === null ? null : JSON.stringify(capture.headers);
}

function toCapture(
  headers: string | null,
  { body, isCut }: { body: Uint8Array | null; isCut: boolean },
): Capture | null {
  if (headers === null && body === null) return null;
  return { headers: headers === null ? null : (JSON.parse(headers) as Header[]), body, isCut };
}

// What of a record may be kept: secrets hidden, texts and bodies cut.

import { type Mask, MASK } from "#lib/mask.ts";
import type { Header } from "./message.ts";
import type { Capture, DeliveryRecord, RecordedAttempt } from "./record.ts";

export const MAX_BODY_BYTES = 64 * 1024;
/** A body is captured with so much more, so that no secret is cut in two before it is hidden. */
export const CAPTURED_BODY_BYTES = MAX_BODY_BYTES + 16 * 1024;

const MAX_ERROR_LENGTH = 1024;
const MAX_ATTEMPT_ERROR_LENGTH = 200;
const MAX_TEXT_LENGTH = 2048;
/** Their values are credentials, whoever set them. */
const HIDDEN_HEADER = /^(?:authorization|cookie|set-cookie|proxy-.*|webhook-signature)$/i;

export function maskRecord(record: DeliveryRecord, mask: Mask): DeliveryRecord {
  const { error, callbackUrl, webhookId, request, response } = record;
  return {
    ...record,
    callbackUrl: cutText(mask(callbackUrl), MAX_TEXT_LENGTH),
    webhookId: cutText(webhookId, MAX_TEXT_LENGTH),
    error: error === null ? null : cutText(mask(error), MAX_ERROR_LENGTH),
    attempts: record.attempts.map((attempt) => maskAttempt(attempt, mask)),
    request: request === null ? null : maskCapture(request, mask),
    response: response === null ? null : maskCapture(response, mask),
  };
}

function maskAttempt(attempt: RecordedAttempt, mask: (text: string) => string): RecordedAttempt {
  const { error } = attempt;
  return error === null ? attempt : { ...attempt, error: cutText(mask(error), MAX_ATTEMPT_ERROR_LENGTH) };
}

function maskCapture({ headers, body, isCut }: Capture, mask: Mask): Capture {
  const masked = body === null ? null : maskBody(body, isCut ? (text) => mask(text, "cut") : mask);
  return {
    headers: headers === null ? null : headers.map((header) => maskHeader(header, mask)),
    body: masked === null ? null : cutBody(masked),
    isCut: isCut || (masked !== null && masked.length > MAX_BODY_BYTES),
  };
}

/** As it may be shown. */
export function maskHeader([name, value]: Header, mask: (text: string) => string): Header {
  return [mask(name), HIDDEN_HEADER.test(name) ? MASK : mask(value)];
}

/** Bytes that are no text are searched as Latin-1, which keeps each of them. */
export function maskBody(body: Uint8Array, mask: (text: string) => string): Uint8Array {
  const text = readText(body);
  if (text === null) return Buffer.from(mask(Buffer.from(body).toString("latin1")), "latin1");
  return Buffer.from(mask(text), "utf8");
}

/** null: it is no UTF-8. A character that is cut at the end is left out. */
export function readText(body: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body, { stream: true });
  } catch {
    return null;
  }
}

/** Not within a character. */
function cutBody(body: Uint8Array): Uint8Array {
  if (body.length <= MAX_BODY_BYTES) return body;
  let end = MAX_BODY_BYTES;
  while (end > MAX_BODY_BYTES - 4 && isContinuation(body[end])) end -= 1;
  return body.subarray(0, end);
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

function cutText(text: string, length: number): string {
  return text.length <= length ? text : text.slice(0, length).toWellFormed();
}

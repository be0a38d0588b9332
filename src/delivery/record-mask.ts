// Reduces a record to what the delivery log may keep: secrets masked, texts and bodies cut.

import { type Mask, MASK } from "#lib/mask.ts";
import type { Header } from "./message.ts";
import type { Capture, DeliveryRecord, RecordedAttempt } from "./record.ts";

const MAX_BODY_BYTES = 64 * 1024;
/** So much more of a body is looked at, so that no secret is cut in two before it is hidden. */
export const SEARCHED_BODY_BYTES = MAX_BODY_BYTES + 16 * 1024;

const MAX_ERROR_LENGTH = 1024;
const MAX_ATTEMPT_ERROR_LENGTH = 200;
const MAX_TEXT_LENGTH = 2048;
/** Their values are credentials, whoever set them. */
const HIDDEN_HEADER = /^(?:authorization|cookie|set-cookie|proxy-.*|webhook-signature)$/i;
const OWN_HEADER = /^(?:nats-|relay-|webhook-)/i;

/** Texts of Relay's own, cut to what is kept of them. */
export function cutRecord(record: DeliveryRecord): DeliveryRecord {
  const { error, callbackUrl } = record;
  return {
    ...record,
    callbackUrl: cutCallbackUrl(callbackUrl),
    error: error === null ? null : cutText(error, MAX_ERROR_LENGTH),
    attempts: record.attempts.map(cutAttempt),
  };
}

export function cutCallbackUrl(url: string): string {
  return cutText(url, MAX_TEXT_LENGTH);
}

function cutAttempt(attempt: RecordedAttempt): RecordedAttempt {
  const { error } = attempt;
  return error === null ? attempt : { ...attempt, error: cutText(error, MAX_ATTEMPT_ERROR_LENGTH) };
}

/** A header of an answer, as it may be shown. */
export function maskHeader([name, value]: Header, mask: Mask): Header {
  return [mask(name), HIDDEN_HEADER.test(name) ? MASK : mask(value)];
}

/** The same of a header that was sent or stored, where Relay's own say nothing that is secret. */
export function maskMessageHeader([name, value]: Header, mask: Mask): Header {
  if (HIDDEN_HEADER.test(name)) return [name, MASK];
  return [name, OWN_HEADER.test(name) ? value : mask(value)];
}

/** `isCut`: there was more of it. Bytes that are no text are searched as Latin-1, which keeps each of them. */
export function toKeptBody(
  body: Uint8Array,
  { isCut, mask }: { isCut: boolean; mask: Mask },
): Pick<Capture, "body" | "isCut"> {
  const text = toReadableText(body);
  const end = isCut ? "cut" : undefined;
  const masked =
    text === null
      ? Buffer.from(mask(Buffer.from(body).toString("latin1"), end), "latin1")
      : Buffer.from(mask(text, end), "utf8");
  return { body: cutBody(masked), isCut: isCut || masked.length > MAX_BODY_BYTES };
}

/** null: it is no UTF-8. A character that is cut at the end is left out. */
export function toReadableText(body: Uint8Array): string | null {
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

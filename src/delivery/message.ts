// A JetStream message and its permanent id.

import { memoizeLast } from "#lib/memoize.ts";

export type Header = readonly [name: string, value: string];

export interface Message {
  readonly stream: string;
  readonly sequence: number;
  readonly subject: string;
  /** When the stream stored it, in nanoseconds since 1970. */
  readonly timestampNanos: bigint;
  /** How often the server has delivered it, including this time. */
  readonly deliveryCount: number;
  /** As stored, `Nats-*` included, names in the case they were sent in. */
  readonly headers: readonly Header[];
  /** How many of its headers are unreadable and not in `headers`. */
  readonly unreadableHeaders: number;
  readonly body: Uint8Array;
}

/**
 * A delete marker that nats-server 2.11 and newer leaves where the last message of a subject was deleted for its age
 * (`subject_delete_marker_ttl`, NATS ADR-43): not a message. The server writes it without a body.
 */
export function isDeleteMarker(headers: readonly Header[], bodySize: number): boolean {
  return bodySize === 0 && headers.some(([name]) => name === "Nats-Marker-Reason");
}

/** The time in base 36: distinguishes it from a message with the same sequence in a recreated stream. */
export function timeToken(message: Message): string {
  return message.timestampNanos.toString(36);
}

/** A message as its `webhook-id` names it. */
export interface MessageName {
  readonly stream: string;
  readonly sequence: number;
  /** `timeToken` of the message. */
  readonly timeToken: string;
}

/** The `webhook-id` of a message: the same on every attempt, redelivery and replay (Standard Webhooks 1.0). */
export function toWebhookId(message: Message): string {
  return `msg_${message.stream}_${message.sequence}_${timeToken(message)}`;
}

export function formatWebhookId({ stream, sequence, timeToken: token }: MessageName): string {
  return `msg_${stream}_${sequence}_${token}`;
}

/** null: no message has such an id. */
export function parseWebhookId(id: string): MessageName | null {
  const [, stream, sequence, token] =
    /^msg_([^\s.*>]{1,255})_([1-9]\d{0,15})_([0-9a-z]{1,13})$/u.exec(id) ?? [];
  if (stream === undefined || token === undefined) return null;
  return { stream, sequence: Number(sequence), timeToken: token };
}

/** The time as NATS writes it in `Nats-Time-Stamp`: Go's RFC3339Nano, which cuts trailing zeros. */
export function toNatsTimestamp(timestampNanos: bigint): string {
  const digits = timestampNanos.toString().padStart(10, "0");
  const seconds = formatSeconds(digits.slice(0, -9));
  const fraction = digits.slice(-9);
  return fraction === "000000000" ? `${seconds}Z` : `${seconds}.${fraction.replace(TRAILING_ZEROS, "")}Z`;
}

/** Consecutive messages share their second: formatting it took longer than the rest of the header. */
const formatSeconds = memoizeLast((digits) => new Date(Number(digits) * 1000).toISOString().slice(0, 19));

const TRAILING_ZEROS = /0+$/;

/** null: not such a time. */
export function parseNatsTimestamp(text: string): bigint | null {
  const [, seconds = "", fraction = ""] = /^([^.Z]+)(?:\.(\d{1,9}))?Z$/.exec(text) ?? [];
  const wholeMs = Date.parse(`${seconds}Z`);
  if (Number.isNaN(wholeMs)) return null;
  return BigInt(wholeMs) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

// The request that a message becomes: its headers in layers, of which the later one wins.

import { type Header, type Message, toNatsTimestamp, toWebhookId } from "#delivery/message.ts";
import type { CallbackSettings } from "#delivery/subscription.ts";
import { isValidHeader, pickMessageHeaders } from "./message-headers.ts";

export interface RequestHeaders {
  /** Name and value in turn, in the order in which they are sent. */
  readonly headers: string[];
  /** Headers of the message that could not be sent. */
  readonly droppedHeaders: number;
}

export interface RequestBuilder {
  readonly build: (message: Message, now: Date) => RequestHeaders;
  /** The subscription's own headers, as `build` sends them. */
  readonly fixedHeaders: readonly string[];
}

interface OwnField {
  readonly name: string;
  readonly value: (message: Message, now: Date) => string;
}

const OWN_FIELDS: readonly OwnField[] = [
  { name: "Nats-Stream", value: (message) => toHeaderText(message.stream) },
  { name: "Nats-Subject", value: (message) => toHeaderText(message.subject) },
  { name: "Nats-Sequence", value: (message) => String(message.sequence) },
  { name: "Nats-Time-Stamp", value: (message) => toNatsTimestamp(message.timestampNanos) },
  { name: "webhook-id", value: (message) => toHeaderText(toWebhookId(message)) },
  { name: "webhook-timestamp", value: (_message, now) => String(Math.floor(now.getTime() / 1000)) },
];

/** Names that say how the request is framed: the connection sets them. */
const FRAMING: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Layers, from the first to the one that wins: `User-Agent` and `Content-Type`, the message's own headers, what Relay
 * says about the message, the subscription's headers. Headers of the subscription that are not valid, or that say how
 * the request is framed, are left out.
 */
export function createRequestBuilder(
  settings: Pick<CallbackSettings, "headers">,
  version: string,
): RequestBuilder {
  const fixed = new Map(
    settings.headers.filter(isSendable).map((header) => [header[0].toLowerCase(), header] as const),
  );
  const fixedHeaders = [...fixed.values()].flat();
  const fixedNames = new Set(fixed.keys());
  const ownFields = OWN_FIELDS.filter(({ name }) => !fixed.has(name.toLowerCase()));
  const userAgent = fixed.has("user-agent") ? [] : ["User-Agent", `relay/${version}`];
  const contentType = fixed.has("content-type") ? [] : ["Content-Type", "application/json"];
  const defaults = [...userAgent, ...contentType];

  function build(message: Message, now: Date): RequestHeaders {
    if (message.headers.length === 0) {
      const headers = defaults.slice();
      addLast(headers, message, now);
      return { headers, droppedHeaders: message.hasUnreadableHeaders ? 1 : 0 };
    }
    const { fields, dropped } = pickMessageHeaders(message.headers, fixedNames);
    const headers = fields.has("content-type") ? userAgent.slice() : defaults.slice();
    for (const [name, value] of fields.values()) headers.push(name, value);
    addLast(headers, message, now);
    return { headers, droppedHeaders: dropped };
  }

  function addLast(headers: string[], message: Message, now: Date): void {
    for (const field of ownFields) headers.push(field.name, field.value(message, now));
    for (const text of fixedHeaders) headers.push(text);
  }

  return { build, fixedHeaders };
}

function isSendable([name, value]: Header): boolean {
  return isValidHeader(name, value) && !FRAMING.has(name.toLowerCase());
}

const VISIBLE_ASCII = /^[\x21-\x7e]*$/;
const PERCENT = 0x25;

/**
 * As it is where it consists of visible ASCII. Else its UTF-8 bytes, those outside of visible ASCII and `%` as `%XX`:
 * subjects may hold any character but space and control characters, headers may not.
 */
function toHeaderText(text: string): string {
  if (VISIBLE_ASCII.test(text)) return text;
  return Array.from(new TextEncoder().encode(text), (byte) =>
    byte > 0x20 && byte < 0x7f && byte !== PERCENT
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
  ).join("");
}

/** The longest delay that a config can ask for. */
const MAX_RETRY_AFTER_MS = 86_400_000;
const HTTP_DATE =
  /^(?:\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT|\w{6,9}, \d{2}-\w{3}-\d{2} \d{2}:\d{2}:\d{2} GMT|\w{3} \w{3} [ \d]\d \d{2}:\d{2}:\d{2} \d{4})$/;

/** What `Retry-After` (RFC 9110, 10.2.3: seconds or one of three forms of date) asks for, a day at most; null if it cannot be read. */
export function retryAfterMs(headerValue: string | readonly string[] | undefined, now: Date): number | null {
  const text = (typeof headerValue === "string" ? headerValue : headerValue?.[0])?.trim();
  if (text === undefined) return null;
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, MAX_RETRY_AFTER_MS);
  if (!HTTP_DATE.test(text)) return null;
  const time = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`);
  if (Number.isNaN(time)) return null;
  return Math.min(Math.max(0, time - now.getTime()), MAX_RETRY_AFTER_MS);
}

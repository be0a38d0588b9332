// Builds the request for a message: headers in layers, the later one wins. PURE.

import type { CallbackAuth, CallbackSettings } from "#delivery/callback.ts";
import { headerKey, isReservedHeader, isValidHeader } from "#delivery/header.ts";
import { type Header, type Message, toNatsTimestamp, toWebhookId } from "#delivery/message.ts";
import { isSample } from "#delivery/sample.ts";
import type { RequestParts } from "#delivery/shape.ts";
import type { TraceHeaders } from "#delivery/trace.ts";
import { memoizeLast } from "#lib/memoize.ts";
import { pickMessageHeaders } from "./message-headers.ts";
import { toHeaderLines } from "./request-writer.ts";
import { createSigner } from "./signature.ts";

interface RequestHeaders {
  /** One line for each header, in the order of sending. */
  readonly lines: string;
  /** The number of the message's headers that could not be sent. */
  readonly droppedHeaders: number;
}

interface RequestBuilder {
  /** The caller adds an `Authorization` that has to be fetched (`oauth2`, `jwt-profile`). */
  readonly build: (message: Message, now: Date, additions?: RequestAdditions) => RequestHeaders;
  /** The subscription's own headers and its fixed `Authorization`, as `build` sends them. */
  readonly fixedHeaders: readonly string[];
  /** True: the fixed headers include `Host`. */
  readonly hasHost: boolean;
  /** False: the `Authorization` has characters that no header can hold. Send nothing. */
  readonly isSendable: boolean;
}

export interface RequestAdditions {
  /** Replaces parts of the request that the message would give; null (default): none. */
  readonly parts?: RequestParts | null;
  /** Replaces what the message says of its trace; null (default): a message's headers are sent as they are. */
  readonly trace?: TraceHeaders | null;
}

interface OwnField {
  readonly name: string;
  readonly value: (message: Message, now: Date) => string;
}

/** Consecutive messages share their stream, and often their subject. */
const streamText = memoizeLast(toHeaderText);
const subjectText = memoizeLast(toHeaderText);

const OWN_FIELDS: readonly OwnField[] = [
  { name: "Nats-Stream", value: (message) => streamText(message.stream) },
  { name: "Nats-Subject", value: (message) => subjectText(message.subject) },
  { name: "Nats-Sequence", value: (message) => String(message.sequence) },
  { name: "Nats-Time-Stamp", value: (message) => toNatsTimestamp(message.timestampNanos) },
  { name: "webhook-id", value: webhookId },
  { name: "webhook-timestamp", value: webhookTimestamp },
];

/** Marks a sample; a message of the stream may not set it. */
const SAMPLE_MARK = "x-relay-test";

function webhookId(message: Message): string {
  return toHeaderText(toWebhookId(message));
}

function webhookTimestamp(_message: Message, now: Date): string {
  return String(Math.floor(now.getTime() / 1000));
}

const NO_ADDITIONS: RequestAdditions = {};
const TRACE_NAMES: ReadonlySet<string> = new Set(["traceparent", "tracestate"]);

/** Framing headers: the connection sets them. */
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
 * Layers, the later one wins: `User-Agent` and `Content-Type`, the message's own headers, Relay's headers about the
 * message and its signatures, the subscription's headers, its `auth`. Headers of the subscription that are invalid or
 * frame the request are dropped.
 */
export function createRequestBuilder(
  settings: Pick<CallbackSettings, "headers" | "auth" | "signatureKeys">,
  version: string,
): RequestBuilder {
  const fixed = toFixedFields(settings);
  const fixedHeaders = [...fixed.values()].flat();
  const hasAuth = settings.auth.kind !== "none";
  const fixedNames = new Set([...fixed.keys()].map(headerKey));
  const tracedNames = new Set([...fixedNames, ...TRACE_NAMES]);
  const mayTrace = !fixedNames.has("traceparent");
  const hasTracestate = fixedNames.has("tracestate");
  const ownFields = [...OWN_FIELDS, ...signatureFields(settings, fixed)]
    .filter(({ name }) => !fixed.has(name.toLowerCase()))
    .map(({ name, value }) => ({ prefix: `${name}: `, value }));
  const isSendable = [...fixed.values()].every(([name, value]) => isValidHeader(name, value));
  const fixedLines = isSendable ? toHeaderLines(fixedHeaders) : "";
  const userAgent = fixed.has("user-agent") ? "" : toHeaderLines(["User-Agent", `relay/${version}`]);
  const contentType = fixed.has("content-type") ? "" : toHeaderLines(["Content-Type", "application/json"]);
  const sampleMark = fixedNames.has(SAMPLE_MARK) ? "" : toHeaderLines(["X-Relay-Test", "true"]);

  function build(
    message: Message,
    now: Date,
    { parts = null, trace: given = null } = NO_ADDITIONS,
  ): RequestHeaders {
    const { unreadableHeaders } = message;
    const trace = mayTrace ? given : null;
    const about = trace === null ? userAgent : userAgent + traceLines(trace);
    if (parts !== null) return buildShaped(message, now, { parts, trace });
    if (message.headers.length === 0) {
      const lines = withLast(about + contentType, message, now);
      return { lines, droppedHeaders: unreadableHeaders };
    }
    const replaced = trace === null ? fixedNames : tracedNames;
    const { fields, dropped } = pickMessageHeaders(message.headers, replaced);
    const defaults = fields.has("content-type") ? about : about + contentType;
    const first = defaults + toHeaderLines([...fields.values()].flat());
    return { lines: withLast(first, message, now), droppedHeaders: unreadableHeaders + dropped };
  }

  /** Headers of `parts` replace the message's. Signs the body of `parts`, which is the one that is sent. */
  function buildShaped(
    message: Message,
    now: Date,
    { parts, trace }: { parts: RequestParts; trace: TraceHeaders | null },
  ): RequestHeaders {
    const taken = trace === null ? fixedNames : tracedNames;
    const own = parts.headers.filter(([name]) => isOwnOfMessage(name, taken));
    const replaced = new Set([...taken, ...own.map(([name]) => headerKey(name))]);
    const { fields, dropped } = pickMessageHeaders(message.headers, replaced);
    const sent = new Map(
      own.flatMap(([name, value]) => (value === null ? [] : [[headerKey(name), [name, value]] as const])),
    );
    const hasType = fields.has("content-type") || replaced.has("content-type");
    const first =
      (sent.has("user-agent") ? "" : userAgent) +
      (trace === null ? "" : traceLines(trace)) +
      (hasType ? "" : contentType) +
      toHeaderLines([...fields.values(), ...sent.values()].flat());
    const lines = withLast(first, { ...message, body: parts.body }, now);
    return { lines, droppedHeaders: message.unreadableHeaders + dropped };
  }

  function traceLines({ traceparent, tracestate }: TraceHeaders): string {
    const line = `traceparent: ${traceparent}\r\n`;
    return tracestate === null || hasTracestate ? line : `${line}tracestate: ${tracestate}\r\n`;
  }

  function isOwnOfMessage(name: string, taken: ReadonlySet<string>): boolean {
    const key = headerKey(name);
    return !taken.has(key) && !isReservedHeader(key) && (key !== "authorization" || !hasAuth);
  }

  function withLast(first: string, message: Message, now: Date): string {
    let lines = first;
    for (const { prefix, value } of ownFields) lines += `${prefix}${value(message, now)}\r\n`;
    return lines + (isSample(message) ? sampleMark : "") + fixedLines;
  }

  return {
    build,
    fixedHeaders,
    hasHost: fixed.has("host"),
    isSendable,
  };
}

/**
 * By lower-case name; the last of a name wins. `auth` replaces any other `Authorization`, even with a value that HTTP does
 * not allow: `isSendable` is then false, so that no request goes out without it. (Config validation rejects such values.)
 */
function toFixedFields({
  headers,
  auth,
}: Pick<CallbackSettings, "headers" | "auth">): ReadonlyMap<string, Header> {
  const own =
    auth.kind === "none" ? headers : headers.filter(([name]) => name.toLowerCase() !== "authorization");
  return new Map(
    [...own.filter(mayBeSent), ...fixedAuthorization(auth)].map(
      (header) => [header[0].toLowerCase(), header] as const,
    ),
  );
}

function fixedAuthorization(auth: CallbackAuth): readonly Header[] {
  switch (auth.kind) {
    case "basic": {
      const credentials = Buffer.from(`${auth.username}:${auth.password}`, "utf8").toString("base64");
      return [["Authorization", `Basic ${credentials}`]];
    }
    case "token":
      return [["Authorization", `Bearer ${auth.value}`]];
    case "none":
    case "oauth2":
    case "jwt-profile":
      return [];
  }
}

/** Signs the id and time that are sent: the subscription's own headers may override Relay's. */
function signatureFields(
  { signatureKeys }: Pick<CallbackSettings, "signatureKeys">,
  fixed: ReadonlyMap<string, Header>,
): readonly OwnField[] {
  const sign = createSigner(signatureKeys);
  if (sign === null) return [];
  const ownId = fixed.get("webhook-id")?.[1].replace(SURROUNDING_SPACE, "");
  const ownTimestamp = fixed.get("webhook-timestamp")?.[1].replace(SURROUNDING_SPACE, "");
  const value = (message: Message, now: Date) =>
    sign(message.body, {
      id: ownId ?? webhookId(message),
      timestamp: ownTimestamp ?? webhookTimestamp(message, now),
    });
  return [{ name: "webhook-signature", value }];
}

const SURROUNDING_SPACE = /^[\t ]+|[\t ]+$/g;

function mayBeSent([name, value]: Header): boolean {
  return isValidHeader(name, value) && !FRAMING.has(name.toLowerCase());
}

const VISIBLE_ASCII = /^[\x21-\x7e]*$/;
const PERCENT = 0x25;

/**
 * Visible ASCII stays as it is. Else the UTF-8 bytes, with `%XX` for `%` and bytes outside of visible ASCII: subjects may
 * hold any character but space and control characters, headers may not.
 */
function toHeaderText(text: string): string {
  if (VISIBLE_ASCII.test(text)) return text;
  return Array.from(new TextEncoder().encode(text), (byte) =>
    byte > 0x20 && byte < 0x7f && byte !== PERCENT
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
  ).join("");
}

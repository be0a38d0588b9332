// Makes CloudEvents 1.0.2 of messages, in the binary and the structured mode of the HTTP binding. PURE.

import { headerOf } from "#delivery/header.ts";
import type { Header, Message } from "#delivery/message.ts";
import { isObject, parseJson } from "#lib/json.ts";

/** The attributes of an event, `specversion` included, and its data. */
export interface CloudEvent {
  readonly attributes: ReadonlyMap<string, string>;
  readonly data: Uint8Array;
  /** Of the data; null: not known. */
  readonly contentType: string | null;
}

interface EventRequest {
  readonly headers: readonly (readonly [name: string, value: string | null])[];
  readonly body: Uint8Array;
}

const STRUCTURED = "application/cloudevents+json";
/** The attributes that every event has. */
const REQUIRED = ["specversion", "id", "source", "type"] as const;
/** Of the specification: extensions follow the same rule. */
const ATTRIBUTE_NAME = /^[a-z0-9]{1,64}$/u;
const MAX_VALUE = 4096;

/** The event that a message is already: in binary mode (NATS binding: `ce-*` headers) or structured. Null: it is none. */
export function readEvent(message: Message): CloudEvent | null {
  const contentType = headerOf(message.headers, "content-type");
  return contentType !== null && mediaType(contentType) === STRUCTURED
    ? readStructured(message)
    : readBinary(message, contentType);
}

function readBinary(message: Message, contentType: string | null): CloudEvent | null {
  if (headerOf(message.headers, "ce-specversion") !== "1.0") return null;
  const attributes = new Map<string, string>();
  for (const [name, value] of message.headers) {
    const attribute = name.toLowerCase().replace(/^ce-/u, "");
    if (/^ce-/iu.test(name) && ATTRIBUTE_NAME.test(attribute)) attributes.set(attribute, decodeValue(value));
  }
  return { attributes, data: message.body, contentType };
}

function readStructured({ body }: Message): CloudEvent | null {
  const event = parseJson(decode(body) ?? "");
  if (!isObject(event) || event["specversion"] !== "1.0") return null;
  const attributes = new Map<string, string>();
  for (const [name, value] of Object.entries(event)) {
    if (name === "data" || name === "data_base64" || !ATTRIBUTE_NAME.test(name)) continue;
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      attributes.set(name, String(value));
    }
  }
  const stated = attributes.get("datacontenttype") ?? null;
  attributes.delete("datacontenttype");
  return { attributes, ...readData(event, stated) };
}

function readData(
  event: Readonly<Record<string, unknown>>,
  contentType: string | null,
): Pick<CloudEvent, "data" | "contentType"> {
  const { data, data_base64: encoded } = event;
  if (typeof encoded === "string") return { data: Buffer.from(encoded, "base64"), contentType };
  if (data === undefined) return { data: new Uint8Array(), contentType };
  const isText = typeof data === "string" && contentType !== null && !isJson(contentType);
  const text = isText ? data : JSON.stringify(data);
  return { data: new TextEncoder().encode(text), contentType: contentType ?? "application/json" };
}

/** What is missing of `event` is taken from `defaults`. */
export function fillIn(event: CloudEvent | null, defaults: CloudEvent): CloudEvent {
  if (event === null) return defaults;
  const missing = [...defaults.attributes].filter(
    ([name]) => isRequired(name) && !event.attributes.get(name),
  );
  return { ...event, attributes: new Map([...event.attributes, ...missing]) };
}

function isRequired(name: string): boolean {
  return REQUIRED.some((required) => required === name);
}

/** Attributes as headers, the data as it is. */
export function toBinary({ attributes, data, contentType }: CloudEvent, { headers }: Message): EventRequest {
  return {
    headers: [
      ...withoutOwn(headers),
      ...[...attributes].map(([name, value]) => [`ce-${name}`, encodeValue(value)] as const),
      ...(contentType === null ? [] : [["Content-Type", contentType] as const]),
    ],
    body: data,
  };
}

/** One JSON object. Data that is JSON stays as it was written: numbers keep all their digits. */
export function toStructured(
  { attributes, data, contentType }: CloudEvent,
  { headers }: Message,
): EventRequest {
  const stated = contentType === null ? [] : [["datacontenttype", contentType] as const];
  const members = [...attributes, ...stated].map(([name, value]) => `${quote(name)}:${quote(value)}`);
  return {
    headers: [...withoutOwn(headers), ["Content-Type", `${STRUCTURED}; charset=utf-8`]],
    body: new TextEncoder().encode(`{${[...members, ...toDataMember(data, contentType)].join(",")}}`),
  };
}

function toDataMember(data: Uint8Array, contentType: string | null): string[] {
  if (data.byteLength === 0) return [];
  const text = decode(data);
  if (text !== null && (contentType === null || isJson(contentType)) && parseJson(text) !== undefined)
    return [`"data":${text}`];
  if (text !== null && contentType !== null && !isJson(contentType) && isTextual(contentType)) {
    return [`"data":${quote(text)}`];
  }
  return [`"data_base64":${quote(Buffer.from(data).toString("base64"))}`];
}

/** The message's headers that the event replaces are not sent. */
function withoutOwn(headers: readonly Header[]): (readonly [string, null])[] {
  return headers
    .filter(([name]) => /^(?:ce-|content-encoding$)/iu.test(name))
    .map(([name]) => [name, null] as const);
}

function mediaType(contentType: string): string {
  return (contentType.split(";")[0] ?? "").trim().toLowerCase();
}

function isJson(contentType: string): boolean {
  return /^[\w.+-]+\/(?:[\w.-]+\+)?json$/u.test(mediaType(contentType));
}

function isTextual(contentType: string): boolean {
  return /^text\/|[/+]xml$/u.test(mediaType(contentType));
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function quote(text: string): string {
  return JSON.stringify(text.toWellFormed());
}

/** What a URI cannot hold, percent-encoded. */
export function toUriReference(text: string): string {
  return text.toWellFormed().replaceAll(/[^\x21-\x7e]|["<>\\^`{|}]/gu, encodeURIComponent);
}

/** HTTP binding, 3.1.3.2: what is no visible ASCII, and `"` and `%`, as the percent-encoded bytes of its UTF-8. */
function encodeValue(value: string): string {
  return value
    .toWellFormed()
    .slice(0, MAX_VALUE)
    .replaceAll(/[^\x21-\x7e]|["%]/gu, (character) =>
      Array.from(
        new TextEncoder().encode(character),
        (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
      ).join(""),
    );
}

/** Bytes that are no UTF-8 leave the value as it is. */
function decodeValue(value: string): string {
  try {
    return decodeURIComponent(value.replaceAll(/%(?![0-9a-f]{2})/giu, "%25"));
  } catch {
    return value;
  }
}

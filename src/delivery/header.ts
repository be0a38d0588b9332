// Names and values of HTTP headers: which are one and the same, which can be sent, which Relay keeps for itself. PURE.

import type { Header } from "./message.ts";

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110, 5.5: visible characters, spaces, tabs and the upper half of Latin-1. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export function isValidHeader(name: string, value: string): boolean {
  return TOKEN.test(name) && isFieldValue(value);
}

export function isFieldValue(value: string): boolean {
  return FIELD_VALUE.test(value);
}

/** The first value; null: there is none. `wanted` is in lower case. */
export function headerOf(headers: readonly Header[], wanted: string): string | null {
  return headers.find(([name]) => name.toLowerCase() === wanted)?.[1] ?? null;
}

/**
 * The key that two equivalent names share. Receivers that pass headers on as variables (CGI, WSGI, PHP) read `X_Api_Key`
 * and `X-Api-Key` as one, so a name is withheld in both spellings.
 */
export function headerKey(name: string): string {
  return name.toLowerCase().replaceAll("_", "-");
}

/** Headers that frame or route the request, or are Relay's own. */
const RESERVED: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "x-relay-test",
]);
const RESERVED_PREFIXES = ["nats-", "proxy-", "relay-", "webhook-"] as const;

/** Whether neither a message nor an expression sets it. `key` is a `headerKey`. */
export function isReservedHeader(key: string): boolean {
  return RESERVED.has(key) || RESERVED_PREFIXES.some((prefix) => key.startsWith(prefix));
}

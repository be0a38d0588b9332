// Turns what expressions yield into the parts of a request, or says what is invalid about it. PURE.

import { isFieldValue } from "#delivery/header.ts";
import type { RequestParts } from "#delivery/shape.ts";
import { toErrorText } from "./error-text.ts";
import { isFunction, MAX_NESTING, MAX_TEXT } from "./meter.ts";

/** What an expression yielded cannot be sent. */
export class InvalidPart extends Error {
  override readonly name = "InvalidPart";
}

const MAX_URL = 8192;
const MAX_HEADER = 8192;
const METHODS = ["POST", "PUT", "PATCH"] as const;

export interface ShapedBody {
  readonly bytes: Uint8Array;
  /** Null: the message's own bytes, of which its headers tell. */
  readonly contentType: string | null;
}

/** `own`: the message's body as expressions see it. */
export function toBody(
  value: unknown,
  { bytes, own }: { readonly bytes: Uint8Array; readonly own: readonly unknown[] },
): ShapedBody {
  if (value === undefined) return { bytes: new Uint8Array(), contentType: null };
  if (own.some((known) => known === value)) return { bytes, contentType: null };
  if (typeof value === "string") {
    return { bytes: new TextEncoder().encode(value), contentType: "text/plain; charset=utf-8" };
  }
  return { bytes: new TextEncoder().encode(toJson(value, "body")), contentType: "application/json" };
}

/** Refuses what JSON does not know. */
function toJson(value: unknown, part: string): string {
  checkPlain(value, { part, level: 0 });
  const text = JSON.stringify(value);
  if (text.length > 4 * MAX_TEXT) throw new InvalidPart(`${part}: it is larger than ${4 * MAX_TEXT} bytes`);
  return text;
}

function checkPlain(value: unknown, { part, level }: { part: string; level: number }): void {
  if (level > MAX_NESTING) throw new InvalidPart(`${part}: it is nested deeper than ${MAX_NESTING} levels`);
  if (isFunction(value)) throw new InvalidPart(`${part}: it has a function in it`);
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new InvalidPart(`${part}: a number in it is out of range`);
  }
  if (typeof value !== "object" || value === null) return;
  const parts: unknown[] = Array.isArray(value) ? value : Object.values(value);
  for (const inner of parts) checkPlain(inner, { part, level: level + 1 });
}

export function toMethod(value: unknown): RequestParts["method"] {
  if (value === undefined) return null;
  const method = METHODS.find((known) => known === value);
  if (method === undefined)
    throw new InvalidPart(`method: found ${show(value)}, allowed: POST, PUT or PATCH`);
  return method;
}

/** Encoded, each segment behind a `/`. */
export function toPath(value: unknown): string {
  const segments = typeof value === "string" ? toSegments(value) : toList(value);
  const path = segments.map((segment, at) => `/${toSegment(segment, at === segments.length - 1)}`).join("");
  if (path.length > MAX_URL) throw new InvalidPart(`path: it is longer than ${MAX_URL} characters`);
  return path;
}

function toSegments(text: string): readonly unknown[] {
  return text === "" || text === "/" ? [] : text.replace(/^\//u, "").split("/");
}

function toList(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value as unknown[];
  if (typeof value === "number") return [value];
  throw new InvalidPart(`path: found ${show(value)}, allowed: a text or a list of segments`);
}

function toSegment(value: unknown, isLast: boolean): string {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") {
    throw new InvalidPart(`path: found ${show(value)} as a segment, allowed: a text or a number`);
  }
  const text = toScalar(value, "path");
  if (text === "" && !isLast) throw new InvalidPart("path: a segment is empty");
  for (const form of [text, decodeOnce(text)]) {
    if (form.split(/[/\\]/u).some((part) => part === "." || part === "..")) {
      throw new InvalidPart(`path: the segment ${show(text)} leads out of the path`);
    }
  }
  return encode(text, "path");
}

/** As much as can be decoded: receivers decode the rest of a text with a bad `%` too. */
function decodeOnce(text: string): string {
  return text.replaceAll(/%[0-9a-f]{2}/giu, (code) =>
    String.fromCharCode(Number.parseInt(code.slice(1), 16)),
  );
}

/** Lists repeat their name; null and nothing are left out. */
export function toQueryText(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value !== "object" || Array.isArray(value) || isFunction(value)) {
    throw new InvalidPart(`query: found ${show(value)}, allowed: an object`);
  }
  const query = Object.entries(value)
    .flatMap(([name, values]) => toParameters(name, values))
    .join("&");
  if (query.length > MAX_URL) throw new InvalidPart(`query: it is longer than ${MAX_URL} characters`);
  return query;
}

function toParameters(name: string, values: unknown): string[] {
  return (Array.isArray(values) ? (values as unknown[]) : [values])
    .filter((value) => value !== undefined && value !== null)
    .map((value) => `${encode(name, "query")}=${encode(toScalar(value, `query: ${show(name)}`), "query")}`);
}

/** Null: nothing was yielded. */
export function toHeaderValue(value: unknown, name: string): string | null {
  if (value === undefined || value === null) return null;
  const part = `header ${name}`;
  const text = toScalar(value, part);
  if (/[\r\n]/u.test(text)) throw new InvalidPart(`${part}: it has a line break`);
  if (!isFieldValue(text)) throw new InvalidPart(`${part}: it has characters that no header can hold`);
  if (text.length > MAX_HEADER) throw new InvalidPart(`${part}: it is longer than ${MAX_HEADER} characters`);
  return text.replaceAll(/^[\t ]+|[\t ]+$/gu, "");
}

export function toScalar(value: unknown, part: string): string {
  if (typeof value === "string" || typeof value === "boolean") return String(value);
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  throw new InvalidPart(`${part}: found ${show(value)}, allowed: a text, a number, true or false`);
}

function encode(text: string, part: string): string {
  try {
    return encodeURIComponent(text);
  } catch (error) {
    throw new InvalidPart(`${part}: ${toErrorText(error)}`, { cause: error });
  }
}

/** Short, and on one line. */
function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (isFunction(value)) return "a function";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return JSON.stringify(typeof value === "string" ? value.slice(0, 40) : value);
}

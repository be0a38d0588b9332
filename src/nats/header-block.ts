// Parses the header block of a NATS message, header by header: a bad one does not affect the others.

import type { Msg } from "@nats-io/transport-node";

import type { Header } from "#delivery/message.ts";

interface HeaderBlock {
  /** In the order of the block, repeated headers included. */
  readonly headers: readonly Header[];
  /** Number of lines that are no headers, and of headers above the limit. */
  readonly unreadable: number;
}

/** More than a callback request can carry, fewer than the 16,000 that fit into JetStream's largest block. */
export const MAX_HEADERS = 4096;
const NONE: HeaderBlock = { headers: [], unreadable: 0 };

const STATUS_LINE = /^NATS\/1\.0(?: [^\r\n]*)?$/;
const NAME = /^[\x21-\x39\x3b-\x7e]+$/;
const LINE_BREAK = /[\r\n]/;
const DECODER = new TextDecoder();

/** Reads the raw bytes: the library's parser throws for the whole block if one name contains a space. */
export function readHeaderBlock(msg: Msg): HeaderBlock {
  const { hdr, bytes } = toRaw(msg);
  if (hdr !== undefined && hdr < 0) return NONE;
  return hdr === undefined || bytes === undefined
    ? readParsed(msg)
    : parseHeaderBlock(bytes.subarray(0, hdr));
}

/** The code of a status message; 0: it is none. Reads no header: for most statuses the code is enough. */
export function readStatusCode(msg: Msg): number {
  const { hdr, bytes } = toRaw(msg);
  if (hdr === undefined || bytes === undefined) return readParsedCode(msg);
  if (hdr <= CODE_AT + 3 || bytes[CODE_AT - 1] !== SPACE) return 0;
  const code = digitAt(bytes, CODE_AT) * 100 + digitAt(bytes, CODE_AT + 1) * 10 + digitAt(bytes, CODE_AT + 2);
  return Number.isNaN(code) ? 0 : code;
}

/** The description of a status message; empty: none, or unreadable. */
export function readStatusDescription(msg: Msg): string {
  const { hdr, bytes } = toRaw(msg);
  if (hdr === undefined || bytes === undefined) return readParsedDescription(msg);
  const [statusLine = ""] = DECODER.decode(bytes.subarray(0, Math.max(0, hdr))).split("\r\n", 1);
  return statusLine.slice(CODE_AT + 3).trim();
}

/** `NATS/1.0 `, then three digits. */
const CODE_AT = 9;
const SPACE = 0x20;
const ZERO = 0x30;

function digitAt(bytes: Uint8Array, index: number): number {
  const digit = (bytes[index] ?? 0) - ZERO;
  return digit >= 0 && digit <= 9 ? digit : Number.NaN;
}

/** `NATS/1.0`, optionally a status, then one header per line; names and values as the library returns them. */
export function parseHeaderBlock(block: Uint8Array): HeaderBlock {
  const headers: Header[] = [];
  const [statusLine = "", ...lines] = DECODER.decode(block).split("\r\n");
  let unreadable = STATUS_LINE.test(statusLine) ? 0 : 1;
  for (const line of lines) {
    if (line === "") continue;
    const header = headers.length < MAX_HEADERS ? parseHeader(line) : null;
    if (header === null) unreadable += 1;
    else headers.push(header);
  }
  return { headers, unreadable };
}

function parseHeader(line: string): Header | null {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(colon, 0));
  const value = line.slice(colon + 1).trim();
  return NAME.test(name) && !LINE_BREAK.test(value) ? [name, value] : null;
}

/** Internals of the library: a message's bytes, of which the first `hdr` are its headers; negative: no headers. */
interface MsgInternals {
  readonly _msg?: { readonly hdr?: number };
  readonly _rdata?: Uint8Array;
}

function toRaw(msg: Msg): { readonly hdr: number | undefined; readonly bytes: Uint8Array | undefined } {
  const { _msg: parsed, _rdata: bytes } = msg as MsgInternals;
  return { hdr: parsed?.hdr, bytes };
}

function readParsedCode(msg: Msg): number {
  try {
    return msg.headers?.code ?? 0;
  } catch {
    return 0;
  }
}

function readParsedDescription(msg: Msg): string {
  try {
    return msg.headers?.description ?? "";
  } catch {
    return "";
  }
}

/** Fallback if a release of the library renames its internals. */
function readParsed(msg: Msg): HeaderBlock {
  try {
    const headers = [...(msg.headers ?? [])].flatMap(([name, values]) =>
      values.map((value): Header => [name, value]),
    );
    return { headers, unreadable: 0 };
  } catch {
    return { headers: [], unreadable: 1 };
  }
}

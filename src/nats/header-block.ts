// The header block of a message, one header at a time: a bad one costs no other.

import type { Msg } from "@nats-io/transport-node";

import type { Header } from "#delivery/message.ts";

interface HeaderBlock {
  /** In the order of the block, a repeated one as often as it stands there. */
  readonly headers: readonly Header[];
  /** Lines that are no headers, and headers past the limit. */
  readonly unreadable: number;
}

/** More than fit into the bytes that are sent on, less than the 16,000 that fit into the largest block of JetStream. */
export const MAX_HEADERS = 4096;
const NONE: HeaderBlock = { headers: [], unreadable: 0 };

const STATUS_LINE = /^NATS\/1\.0(?: [^\r\n]*)?$/;
const NAME = /^[\x21-\x39\x3b-\x7e]+$/;
const LINE_BREAK = /[\r\n]/;
const DECODER = new TextDecoder();

/** Reads the raw bytes: the library's own parser throws for a whole block because of one name with a space. */
export function readHeaderBlock(msg: Msg): HeaderBlock {
  const { hdr, bytes } = toRaw(msg);
  if (hdr !== undefined && hdr < 0) return NONE;
  return hdr === undefined || bytes === undefined
    ? readParsed(msg)
    : parseHeaderBlock(bytes.subarray(0, hdr));
}

/** The status that a server sends in place of a message; 0: it is none. Reads no header: most statuses tell all by this. */
export function readStatusCode(msg: Msg): number {
  const { hdr, bytes } = toRaw(msg);
  if (hdr === undefined || bytes === undefined) return readParsedCode(msg);
  if (hdr <= CODE_AT + 3 || bytes[CODE_AT - 1] !== SPACE) return 0;
  const code = digitAt(bytes, CODE_AT) * 100 + digitAt(bytes, CODE_AT + 1) * 10 + digitAt(bytes, CODE_AT + 2);
  return Number.isNaN(code) ? 0 : code;
}

/** Of its status; empty: none, or it cannot be read. */
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

/** `NATS/1.0`, maybe a status, then a header in each line; names and values as the library would give them. */
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

/** What the library keeps to itself: a message's bytes, of which the first `hdr` are its headers; negative: it has none. */
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

/** For a release of the library that keeps its bytes elsewhere. */
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

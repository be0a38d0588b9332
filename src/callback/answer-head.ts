// Parses the head of an HTTP answer: status, body length, whether the connection stays open (RFC 9112, 3 to 9). PURE.
//
// As tolerant as curl and Go. Where another reader might see the body end elsewhere, Relay reads it and closes the connection.

import type { ResponseHeaders } from "#delivery/exchange.ts";

type AnswerHead =
  /** An interim answer (1xx): the final one follows. */
  | { readonly kind: "interim" }
  | {
      readonly kind: "final";
      readonly status: number;
      readonly body: BodyLength;
      /** False: the connection carries no other request. */
      readonly isReusable: boolean;
      /** How long the server says it keeps an idle connection (`Keep-Alive: timeout`). */
      readonly keepAliveMs: number;
      /** The header lines, for `parseHeaders`. */
      readonly fields: string;
    }
  /** `rule`: the rule of HTTP that the head breaks. */
  | { readonly kind: "broken"; readonly rule: string };

/** In bytes; `until-close`: the body ends when the connection closes. */
type BodyLength = number | "chunked" | "until-close";

export const PROTOCOL = "HTTP/";
export const NOT_HTTP = "not HTTP/1.1";

/** Bytes that neither a header nor a reason may hold, and a carriage return that does not end a line. */
// oxlint-disable-next-line no-control-regex
export const FORBIDDEN: RegExp = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)/;

/** A server that writes `HTTP/2.0` still speaks HTTP/1.1. */
const STATUS_LINE = /^HTTP\/(?:1\.\d|2\.0) +\d{3}(?:[\t ].*)?\r?\n/;
const STATUS = / +(\d{3})/;
const STATUS_AT = "HTTP/1.1 ".length;
/** Matches blanks before the colon too: they are removed (RFC 9112, 5.1). */
const NAME = /[!#$%&'*+\-.^_`|~0-9A-Za-z][!#$%&'*+\-.^_`|~0-9A-Za-z\t ]*:/y;
const FOLDED = /\n[\t ]/;
const FOLD = /\r?\n[\t ]+/g;
const DIGITS = /^\d+$/;
const USUAL_LENGTH = /^\d{1,15}$/;
const KEEP_ALIVE_TIMEOUT = /(?:^|[\t ,;])timeout[\t ]*=[\t ]*"?(\d{1,9})/i;
const LOWER_CASE = 0x20;
const FRAMING_INITIALS: ReadonlySet<number> = new Set(["c", "k", "t"].map((text) => text.charCodeAt(0)));

const HTTP_1_0 = "HTTP/1.0";

const INTERIM: AnswerHead = { kind: "interim" };

/** `text`: each line with its line break, without the empty line. */
export function parseHead(text: string): AnswerHead {
  if (!STATUS_LINE.test(text)) return broken(describeStatusLine(text));
  const statusLineEnd = text.indexOf("\n") + 1;
  const status = readStatus(text);
  if (status < 100) return broken("a status below 100");
  if (status === 101) return broken("it switches protocols (101) without a request for it");
  if (FORBIDDEN.test(text)) return broken("a control character in the headers");
  const lines = text.slice(statusLineEnd);
  const fields = FOLDED.test(lines) ? lines.replace(FOLD, " ") : lines;
  const framing: Framing = {
    isHttp10: text.startsWith(HTTP_1_0),
    isKept: false,
    isClosed: false,
    keepAliveMs: Infinity,
    contentLength: null,
    transferEncoding: null,
    isAmbiguous: false,
  };
  for (let at = 0; at < fields.length;) {
    NAME.lastIndex = at;
    if (!NAME.test(fields)) return broken(describeLine(fields.slice(at)));
    const valueAt = NAME.lastIndex;
    const end = fields.indexOf("\n", valueAt) + 1;
    if (FRAMING_INITIALS.has(fields.charCodeAt(at) | LOWER_CASE)) {
      readFramingField(framing, fields.slice(at, valueAt - 1), fields.slice(valueAt, end));
    }
    at = end;
  }
  return status < 200 ? INTERIM : toFinal(framing, { status, fields });
}

/** Parses the header lines of a head that `parseHead` accepted. */
export function parseHeaders(fields: string): ResponseHeaders {
  const headers = Object.create(null) as Record<string, string | string[]>;
  for (let at = 0; at < fields.length;) {
    const colon = fields.indexOf(":", at);
    const end = fields.indexOf("\n", colon) + 1;
    const name = trimBlanks(fields.slice(at, colon)).toLowerCase();
    const value = trimBlanks(fields.slice(colon + 1, end));
    const known = headers[name];
    if (known === undefined) headers[name] = value;
    else if (typeof known === "string") headers[name] = [known, value];
    else known.push(value);
    at = end;
  }
  return headers;
}

interface Framing {
  readonly isHttp10: boolean;
  /** True: by its version and `Connection`, the answer keeps the connection open. */
  isKept: boolean;
  isClosed: boolean;
  keepAliveMs: number;
  /** The values, joined if the header came more than once. */
  contentLength: string | null;
  transferEncoding: string | null;
  /** A framing header with a blank after its name: other readers would not recognise it. */
  isAmbiguous: boolean;
}

function readFramingField(framing: Framing, writtenName: string, writtenValue: string): void {
  const name = writtenName.trimEnd().toLowerCase();
  const value = trimBlanks(writtenValue);
  switch (name) {
    case "content-length":
      framing.contentLength = framing.contentLength === null ? value : `${framing.contentLength},${value}`;
      break;
    case "transfer-encoding":
      framing.transferEncoding =
        framing.transferEncoding === null ? value : `${framing.transferEncoding},${value}`;
      break;
    case "connection":
      for (const option of value.toLowerCase().split(",")) {
        if (option.trim() === "close") framing.isClosed = true;
        if (option.trim() === "keep-alive") framing.isKept = true;
      }
      return;
    case "keep-alive":
      framing.keepAliveMs = Number(KEEP_ALIVE_TIMEOUT.exec(value)?.[1] ?? Infinity) * 1000;
      return;
    default:
      return;
  }
  framing.isAmbiguous ||= name.length < writtenName.length;
}

function toFinal(
  framing: Framing,
  { status, fields }: { readonly status: number; readonly fields: string },
): AnswerHead {
  const { transferEncoding, contentLength, keepAliveMs, isHttp10 } = framing;
  const rule = encodingFault(transferEncoding) ?? lengthFault(contentLength);
  if (rule !== null) return broken(rule);
  const body = toBodyLength(status, framing);
  // Do not trust the connection further if both headers are there, or if HTTP/1.0 names a transfer coding (RFC 9112, 6.1).
  const isDoubtful =
    framing.isAmbiguous || (transferEncoding !== null && (contentLength !== null || isHttp10));
  const isKept = !framing.isClosed && (framing.isKept || !isHttp10);
  const isReusable = isKept && !isDoubtful && body !== "until-close";
  return { kind: "final", status, body, isReusable, keepAliveMs, fields };
}

function toBodyLength(status: number, { transferEncoding, contentLength }: Framing): BodyLength {
  if (status === 204 || status === 304) return 0;
  if (transferEncoding !== null) return "chunked";
  return contentLength === null ? "until-close" : Number.parseInt(contentLength, 10);
}

function encodingFault(transferEncoding: string | null): string | null {
  if (transferEncoding === null) return null;
  const codings = transferEncoding
    .toLowerCase()
    .split(",")
    .map((coding) => coding.trim())
    .filter((coding) => coding !== "");
  if (codings.at(-1) !== "chunked") return "a Transfer-Encoding that does not end in chunked";
  return codings.indexOf("chunked") < codings.length - 1 ? "a Transfer-Encoding of chunked twice" : null;
}

/** A repeated length may also come as a list in one header (RFC 9112, 6.3). */
function lengthFault(contentLength: string | null): string | null {
  if (contentLength === null || USUAL_LENGTH.test(contentLength)) return null;
  const lengths = contentLength.split(",").map(trimBlanks);
  if (!lengths.every((length) => DIGITS.test(length))) return "a Content-Length that is not a number";
  if (lengths.some((length) => Number(length) !== Number(lengths[0]))) {
    return "two different Content-Length headers";
  }
  return Number(lengths[0]) > Number.MAX_SAFE_INTEGER ? "a Content-Length that is too large" : null;
}

function readStatus(text: string): number {
  const status = Number(text.slice(STATUS_AT, STATUS_AT + 3));
  // More than one blank before the status.
  return status >= 100 || text[STATUS_AT] !== " " ? status : Number(STATUS.exec(text)?.[1]);
}

function describeStatusLine(text: string): string {
  return /^HTTP\/(?:1\.\d|2\.0) /.test(text) ? "a status that is not three digits" : NOT_HTTP;
}

function describeLine(rest: string): string {
  const line = rest.slice(0, rest.indexOf("\n"));
  if (/^[\t ]/.test(line)) return "a folded line before the first header";
  if (!line.includes(":")) return "a header line without a colon";
  return /^[\t ]*:/.test(line)
    ? "a header without a name"
    : "a character in a header name that is not allowed";
}

/** Trims line ends too. By hand: a regular expression would take quadratic time on long runs of blanks. */
function trimBlanks(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from += 1;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0d || code === 0x0a;
}

function broken(rule: string): AnswerHead {
  return { kind: "broken", rule };
}

// Decodes the escapes of a text (JSON, percent, HTML); each byte knows its position in the text. PURE.

/** The bytes of a text after decoding. */
export interface DecodedView {
  readonly bytes: Uint8Array;
  /** The position in the text at which each byte begins and ends; null: the same positions. */
  readonly offsets: { readonly starts: Uint32Array; readonly ends: Uint32Array } | null;
  /** Its last byte came from the end of the text, which may have been cut. */
  readonly reachesEnd: boolean;
}

type Family = "backslash" | "percent" | "entity";

interface Escape {
  /** Length of the escape in bytes. */
  readonly length: number;
  readonly code: number;
  /** True: `code` is a byte, not a character. */
  readonly isByte: boolean;
}

const FAMILIES: readonly Family[] = ["backslash", "percent", "entity"];
const SIGNS: Readonly<Record<Family, number>> = { backslash: 0x5c, percent: 0x25, entity: 0x26 };
/** How many encodings may be nested. */
const MAX_NESTED = 3;
const MAX_ESCAPE = 12;

/** The text with all escapes decoded once, twice, three times, while there are any. */
export function* unescapedViews(outer: DecodedView): Generator<DecodedView> {
  let view: DecodedView | null = outer;
  for (let depth = 0; depth < MAX_NESTED; depth += 1) {
    view = unescape(view, FAMILIES);
    if (view === null) return;
    yield view;
  }
}

/** The text with the escapes of one kind decoded, if there are several kinds: `%41` in JSON may be literal. */
export function* partlyUnescapedViews(view: DecodedView): Generator<DecodedView> {
  const present = FAMILIES.filter((family) => view.bytes.includes(SIGNS[family]));
  if (present.length === 1) return;
  for (const family of present) {
    const unescaped = unescape(view, [family]);
    if (unescaped !== null) yield unescaped;
  }
}

/** How many bytes at the end may be the beginning of a cut escape. */
export function brokenEscapeLength(bytes: Uint8Array): number {
  const tail = Buffer.from(bytes.subarray(-MAX_ESCAPE)).toString("latin1");
  return BROKEN_ESCAPE.exec(tail)?.[0].length ?? 0;
}

const BROKEN_ESCAPE = /(?:\\(?:u\{?[0-9a-f]{0,5}|x[0-9a-f]?)?|%(?:u?[0-9a-f]{0,3})?|&#?[0-9a-z]{0,8})$/iu;

export function startOf({ offsets }: DecodedView, at: number): number {
  return offsets === null ? at : (offsets.starts[at] ?? 0);
}

export function endOfByte({ offsets }: DecodedView, at: number): number {
  return offsets === null ? at + 1 : (offsets.ends[at] ?? 0);
}

/** Takes at most this many bytes. */
export function startView(maxLength: number) {
  const bytes = new Uint8Array(maxLength);
  const starts = new Uint32Array(maxLength);
  const ends = new Uint32Array(maxLength);
  let length = 0;
  return {
    push(byte: number, start: number, end: number): void {
      bytes[length] = byte;
      starts[length] = start;
      ends[length] = end;
      length += 1;
    },
    /** Extends the last byte over more of the text. */
    extendLast(end: number): void {
      if (length > 0) ends[length - 1] = Math.max(end, ends[length - 1] ?? 0);
    },
    finish: (reachesEnd: boolean): DecodedView => ({
      bytes: bytes.subarray(0, length),
      offsets: { starts: starts.subarray(0, length), ends: ends.subarray(0, length) },
      reachesEnd,
    }),
  };
}

/** null: there are no escapes. No escape is shorter than its character. */
function unescape(view: DecodedView, families: readonly Family[]): DecodedView | null {
  const { bytes } = view;
  const present = families.filter((family) => bytes.includes(SIGNS[family]));
  if (present.length === 0) return null;
  const unescaped = startView(bytes.length);
  let isChanged = false;
  for (let at = 0; at < bytes.length;) {
    const byte = bytes[at] ?? 0;
    const escape = isSign(byte) ? readEscape(bytes, at, present) : null;
    const length = escape === null ? 1 : escape.length;
    const start = startOf(view, at);
    const end = endOfByte(view, at + length - 1);
    if (escape === null) unescaped.push(byte, start, end);
    else if (escape.isByte) unescaped.push(escape.code, start, end);
    else for (const part of toUtf8(escape.code)) unescaped.push(part, start, end);
    isChanged ||= escape !== null;
    at += length;
  }
  return isChanged ? unescaped.finish(view.reachesEnd) : null;
}

function isSign(byte: number): boolean {
  return byte === SIGNS.backslash || byte === SIGNS.percent || byte === SIGNS.entity;
}

function readEscape(bytes: Uint8Array, at: number, families: readonly Family[]): Escape | null {
  const family = families.find((candidate) => SIGNS[candidate] === bytes[at]);
  return family === undefined ? null : READERS[family](bytes, at);
}

const READERS: Readonly<Record<Family, (bytes: Uint8Array, at: number) => Escape | null>> = {
  backslash: readBackslash,
  percent: readPercent,
  entity: readEntity,
};

const CONTROLS: ReadonlyMap<number, number> = new Map(
  Object.entries({ b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 }).map(([letter, code]) => [
    letter.charCodeAt(0),
    code,
  ]),
);
const [LOWER_U, LOWER_X, OPEN_BRACE, CLOSE_BRACE] = [0x75, 0x78, 0x7b, 0x7d];

/** Escapes of JSON, and of string literals in most languages. */
function readBackslash(bytes: Uint8Array, at: number): Escape | null {
  const sign = bytes[at + 1];
  if (sign === undefined || sign > 0x7e) return null;
  if (sign === LOWER_U) return readUnicode(bytes, at);
  if (sign === LOWER_X) {
    const code = hexAt(bytes, at + 2, 2);
    return code === null ? null : { length: 4, code, isByte: true };
  }
  const control = CONTROLS.get(sign);
  if (control === undefined && isAlphanumeric(sign)) return null;
  return { length: 2, code: control ?? sign, isByte: false };
}

/** `\u0041`, two of them for a pair of surrogates, or `\u{41}`. */
function readUnicode(bytes: Uint8Array, at: number): Escape | null {
  if (bytes[at + 2] === OPEN_BRACE) {
    const length = bytes.subarray(at + 3, at + 10).indexOf(CLOSE_BRACE);
    return toCharacter(length + 4, length < 1 ? null : hexAt(bytes, at + 3, length));
  }
  const unit = hexAt(bytes, at + 2, 4);
  if (unit === null || unit < 0xd800 || unit > 0xdbff) return toCharacter(6, unit);
  const low = bytes[at + 6] === SIGNS.backslash && bytes[at + 7] === LOWER_U ? hexAt(bytes, at + 8, 4) : null;
  if (low === null || low < 0xdc00 || low > 0xdfff) return toCharacter(6, unit);
  return toCharacter(12, 0x1_00_00 + ((unit - 0xd800) << 10) + (low - 0xdc00));
}

/** `%41`, and `%u0041` of old browsers. */
function readPercent(bytes: Uint8Array, at: number): Escape | null {
  if (bytes[at + 1] === LOWER_U) return toCharacter(6, hexAt(bytes, at + 2, 4));
  const code = hexAt(bytes, at + 1, 2);
  return code === null ? null : { length: 3, code, isByte: true };
}

/** With or without its semicolon. */
function readEntity(bytes: Uint8Array, at: number): Escape | null {
  const text = Buffer.from(bytes.subarray(at, at + MAX_ESCAPE)).toString("latin1");
  const [all = "", hex, decimal, name = ""] = ENTITY.exec(text) ?? [];
  if (all === "") return null;
  if (hex !== undefined) return toCharacter(all.length, parseInt(hex, 16));
  if (decimal !== undefined) return toCharacter(all.length, Number(decimal));
  return toCharacter(all.length, ENTITIES.get(name) ?? null);
}

const ENTITY = /^&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|([a-z]{2,8}));?/iu;
/** The HTML entities for ASCII characters. */
const ENTITIES: ReadonlyMap<string, number> = new Map(
  (
    'excl! quot" QUOT" num# dollar$ percnt% amp& AMP& apos\' lpar( rpar) ast* midast* plus+ comma, period. sol/ ' +
    "colon: semi; lt< LT< equals= gt> GT> quest? commat@ lsqb[ lbrack[ bsol\\ rsqb] rbrack] Hat^ lowbar_ grave` " +
    "lcub{ lbrace{ verbar| vert| rcub} rbrace}"
  )
    .split(" ")
    .map((pair) => [pair.slice(0, -1), pair.charCodeAt(pair.length - 1)] as const),
);

function toCharacter(length: number, code: number | null): Escape | null {
  return code === null || code > 0x10_ff_ff ? null : { length, code, isByte: false };
}

function toUtf8(code: number): readonly number[] {
  return code < 0x80 ? [code] : [...Buffer.from(String.fromCodePoint(code), "utf8")];
}

function isAlphanumeric(byte: number): boolean {
  const letter = byte | 0x20;
  return (byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x7a);
}

/** null: there are fewer digits. */
function hexAt(bytes: Uint8Array, at: number, digits: number): number | null {
  let value = 0;
  for (let index = at; index < at + digits; index += 1) {
    const digit = hexDigit(bytes[index]);
    if (digit < 0) return null;
    value = value * 16 + digit;
  }
  return value;
}

/** -1: it is not a hex digit. */
export function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

// Masks secrets in text, in every form: as they are, escaped, in base64, in hex. PURE.

import { decodedRuns } from "./decoded-runs.ts";
import {
  brokenEscapeLength,
  endOfByte,
  partlyUnescapedViews,
  startOf,
  unescapedViews,
  type DecodedView,
} from "./decoded-views.ts";

/** Replaces a secret. */
export const MASK = "***";
/** A shorter secret would match by chance. */
const MIN_MASKED_LENGTH = 8;
/** What is left of a secret that consists of escapes. */
const MIN_NEEDLE = 3;
/** Minimum for an encoded secret at the end of a cut text: a single byte matches by chance. */
const MIN_DECODED_BEGINNING = 2;

/** `end` `cut`: the text was longer, so its end may be the beginning of a secret. */
export type Mask = (text: string, end?: "cut") => string;

/**
 * Replaces each secret of 8 characters or more by `***`, also escaped as in JSON, HTML and URLs, in hex, and inside
 * base64. At the end of a cut text it also replaces the beginning of a secret. Caution: to somebody who chooses the text,
 * the mask reveals whether they have guessed a secret.
 */
export function createMask(secrets: readonly string[]): Mask {
  const masked = [...new Set(secrets)].filter((secret) => secret.length >= MIN_MASKED_LENGTH);
  if (masked.length === 0) return (text) => text;
  let needles: readonly Uint8Array[] | null = null;
  return (text, end) => {
    needles ??= toNeedles(masked);
    const bytes = Buffer.from(text, "utf8");
    const spans = findSpans(bytes, needles, { isCut: end === "cut" });
    return spans.length === 0 ? text : replaceSpans(bytes, spans);
  };
}

/** True: the text contains one of `secrets`, however short, in any of the masked forms. */
export function holdsSecret(text: string, secrets: readonly string[]): boolean {
  const needles = toNeedles(secrets.filter((secret) => secret !== ""));
  return findSpans(Buffer.from(text, "utf8"), needles, { isCut: false }).length > 0;
}

/** Each secret as it is, with its own escapes decoded, and with `+` and blanks exchanged as in form data. */
function toNeedles(secrets: readonly string[]): readonly Uint8Array[] {
  const texts = secrets.flatMap((secret) => [
    secret,
    secret.replaceAll(" ", "+"),
    secret.replaceAll("+", " "),
  ]);
  const needles = [...new Set(texts)].flatMap((text) => {
    const bytes = Buffer.from(text, "utf8");
    // HTTP headers are Latin-1.
    const isLatin1 = bytes.length > text.length && /^[\0-\u00ff]*$/u.test(text);
    return isLatin1 ? [bytes, Buffer.from(text, "latin1")] : [bytes];
  });
  return needles.flatMap((bytes) => {
    const views = Array.from(unescapedViews({ bytes, offsets: null, reachesEnd: false }));
    return views
      .map((view) => view.bytes)
      .filter(({ length }) => length >= MIN_NEEDLE)
      .concat(bytes);
  });
}

interface Span {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

function findSpans(
  text: Uint8Array,
  needles: readonly Uint8Array[],
  { isCut }: { isCut: boolean },
): readonly Span[] {
  const whole: DecodedView = { bytes: text, offsets: null, reachesEnd: isCut };
  const minBytes = needles.reduce((least, { length }) => Math.min(least, length), Infinity);
  const spans: Span[] = [];
  const search = (view: DecodedView, minBeginning: number) => {
    for (const needle of needles) findInView(view, needle, spans);
    if (view.reachesEnd) findBeginnings(view, needles, { minLength: minBeginning, end: text.length, spans });
  };
  const unescaped = [...unescapedViews(whole)];
  for (const view of [whole, ...unescaped, ...partlyUnescapedViews(whole)]) search(view, 1);
  for (const view of [whole, ...unescaped.slice(0, 1)]) {
    for (const decoded of decodedRuns(view, minBytes)) {
      for (const inner of [decoded, ...unescapedViews(decoded)]) search(inner, MIN_DECODED_BEGINNING);
    }
  }
  return spans;
}

function findInView(view: DecodedView, needle: Uint8Array, spans: Span[]): void {
  const bytes = asBuffer(view.bytes);
  for (let at = bytes.indexOf(needle); at !== -1; at = bytes.indexOf(needle, at + needle.length)) {
    spans.push({ from: startOf(view, at), to: endOfByte(view, at + needle.length - 1) });
  }
}

/** Finds the beginning of a secret at the end of a cut text. */
function findBeginnings(
  view: DecodedView,
  needles: readonly Uint8Array[],
  { minLength, end, spans }: { minLength: number; end: number; spans: Span[] },
): void {
  const whole = asBuffer(view.bytes);
  const broken = brokenEscapeLength(whole);
  for (const bytes of broken === 0 ? [whole] : [whole, whole.subarray(0, -broken)]) {
    for (const needle of needles) {
      const from = Math.max(0, bytes.length - needle.length + 1);
      for (
        let at = bytes.indexOf(needle[0] ?? 0, from);
        at !== -1;
        at = bytes.indexOf(needle[0] ?? 0, at + 1)
      ) {
        const length = bytes.length - at;
        if (length < minLength) break;
        if (bytes.compare(needle, 0, length, at) !== 0) continue;
        spans.push({ from: startOf(view, at), to: end });
        break;
      }
    }
  }
}

function replaceSpans(bytes: Buffer, spans: readonly Span[]): string {
  const ordered = [...spans].sort((left, right) => left.from - right.from);
  const parts: string[] = [];
  let at = 0;
  for (const { from, to } of ordered) {
    if (to <= at) continue;
    // Overlapping matches share one mask.
    if (from >= at) parts.push(bytes.toString("utf8", at, from), MASK);
    at = to;
  }
  parts.push(bytes.toString("utf8", at));
  return parts.join("");
}

function asBuffer({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

// The functions of the library that take a picture of a number or a date, bounded: pictures can ask for endless loops. PURE.

import type { Focus, Native, Override } from "./native.ts";

const MAX_PICTURE = 128;
const MAX_PARSED = 128;
/** `Date` knows no others. */
const MAX_MILLIS = 8.64e15;
const MAX_ROMAN = 100_000;
const MAX_INTEGER = 1e15;

/** Of `$formatNumber`; the library trusts them. */
const FORMAT_OPTIONS: ReadonlySet<string> = new Set([
  "decimal-separator",
  "grouping-separator",
  "exponent-separator",
  "infinity",
  "minus-sign",
  "NaN",
  "percent",
  "per-mille",
  "zero-digit",
  "digit",
  "pattern-separator",
]);

export const dateNatives: Readonly<Record<string, Override>> = {
  formatNumber: (original) =>
    function formatNumber(this: Focus, value: unknown, picture: unknown, options: unknown) {
      checkPicture(picture);
      checkFormatOptions(options);
      return original.call(this, value, picture, options);
    },
  formatInteger: (original) =>
    function formatInteger(this: Focus, value: unknown, picture: unknown) {
      checkPicture(picture);
      const limit = typeof picture === "string" && /^[iI](?:;|$)/u.test(picture) ? MAX_ROMAN : MAX_INTEGER;
      if (typeof value === "number" && Math.abs(value) > limit) {
        throw new Error(`this picture takes numbers up to ${limit}`);
      }
      return original.call(this, value, picture);
    },
  parseInteger: (original) =>
    function parseInteger(this: Focus, value: unknown, picture: unknown) {
      checkPicture(picture);
      checkParsed(value);
      return original.call(this, value, picture);
    },
  fromMillis: boundedFromMillis,
  toMillis: (original) =>
    function toMillis(this: Focus, timestamp: unknown, picture: unknown) {
      checkPicture(picture);
      checkParsed(timestamp);
      if (typeof picture === "string") checkParsable(picture);
      return original.call(this, timestamp, picture);
    },
};

export function boundedFromMillis(original: Native): Native {
  return function fromMillis(this: Focus, millis: unknown, picture: unknown, timezone: unknown) {
    if (typeof millis === "number" && Math.abs(millis) > MAX_MILLIS)
      throw new Error("the time is out of range");
    checkPicture(picture);
    checkTimezone(timezone);
    return original.call(this, millis, picture, timezone);
  };
}

function checkTimezone(timezone: unknown): void {
  if (timezone !== undefined && (typeof timezone !== "string" || !/^(?:[+-]?\d{4}|Z)$/u.test(timezone))) {
    throw new Error("a time zone has the form +0100");
  }
}

/** Each character costs a loop; a width such as `[Y,9999]` or `[Y00…]` costs more. */
function checkPicture(picture: unknown): void {
  if (typeof picture !== "string") return;
  if (picture.length > MAX_PICTURE) throw new Error(`a picture has ${MAX_PICTURE} characters at most`);
  if (/,[^\]]*\d{3}/u.test(picture) && picture.includes("[")) {
    throw new Error("a width in a picture has two digits at most");
  }
}

function checkFormatOptions(options: unknown): void {
  if (typeof options !== "object" || options === null) return;
  for (const [name, value] of Object.entries(options)) {
    if (!FORMAT_OPTIONS.has(name)) throw new Error("an option of $formatNumber is unknown");
    const isWord = name === "infinity" || name === "NaN" || name === "exponent-separator";
    if (typeof value !== "string" || value === "" || value.length > (isWord ? 16 : 1)) {
      throw new Error(`the option ${name} of $formatNumber takes one character`);
    }
  }
}

function checkParsed(text: unknown): void {
  if (typeof text === "string" && text.length > MAX_PARSED) {
    throw new Error(`a number or time to parse has ${MAX_PARSED} characters at most`);
  }
}

/**
 * The library makes a regular expression of the picture, for an engine that backtracks. It has no choice where each part
 * is followed by something that cannot belong to it.
 */
function checkParsable(picture: string): void {
  const parts = [...picture.matchAll(/\[\s*([A-Za-z])([^\]]*)\]([^[]*)/gu)];
  for (const [at, [, component = "", modifiers = "", literal = ""]] of parts.entries()) {
    const next = parts[at + 1]?.[1] ?? "";
    const isName = /^[Nn]/u.test(modifiers.trim()) || component === "P";
    if (/[wW]/u.test(modifiers)) throw new Error("$toMillis does not parse numbers in words");
    const isLast = at === parts.length - 1;
    const isParted = literal !== "" && !/^[0-9A-Za-z+-]/u.test(literal);
    const isFixed = literal === "" && !isName && /^[YMDdHhms]$/u.test(component) && /\d\d/u.test(modifiers);
    const isBeforeZone = literal === "" && (next === "Z" || next === "z") && component !== "z";
    const isDash = literal.startsWith("-") && component !== "Z" && component !== "z";
    const isLetter = /^[A-Z]/iu.test(literal) && !isName && !/[iIaA]/u.test(modifiers);
    if (!isLast && !isParted && !isFixed && !isBeforeZone && !isDash && !isLetter) {
      throw new Error("the parts of a picture for $toMillis need something between them");
    }
  }
}

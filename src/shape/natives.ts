// The library's functions, bounded: each says what it is about to do before it does it, for nothing can interrupt it.

import { listNatives, tooMany } from "./list-natives.ts";
import { dateNatives } from "./picture-natives.ts";
import { MAX_ITEMS, MAX_TEXT, type Meter } from "./meter.ts";
import { type Focus, type Native, type Override, spendSearch } from "./native.ts";

/** As the library keeps a function. */
export interface Definition {
  readonly _jsonata_function: true;
  implementation: Native;
}

/** All of the library, but `now` and `millis`, which each expression has of its own. */
export const NATIVE_NAMES = [
  "sum",
  "count",
  "max",
  "min",
  "average",
  "string",
  "substring",
  "substringBefore",
  "substringAfter",
  "lowercase",
  "uppercase",
  "length",
  "trim",
  "pad",
  "match",
  "contains",
  "replace",
  "split",
  "join",
  "formatNumber",
  "formatBase",
  "formatInteger",
  "parseInteger",
  "number",
  "floor",
  "ceil",
  "round",
  "abs",
  "sqrt",
  "power",
  "random",
  "boolean",
  "not",
  "map",
  "zip",
  "filter",
  "single",
  "reduce",
  "sift",
  "keys",
  "lookup",
  "append",
  "exists",
  "spread",
  "merge",
  "reverse",
  "each",
  "error",
  "assert",
  "type",
  "sort",
  "shuffle",
  "distinct",
  "base64encode",
  "base64decode",
  "encodeUrlComponent",
  "encodeUrl",
  "decodeUrlComponent",
  "decodeUrl",
  "eval",
  "toMillis",
  "fromMillis",
  "clone",
] as const;

/** Replaces the implementation in place, once and for good: expressions can reach the definitions. */
export function bound(definition: Definition, name: string, meter: () => Meter): void {
  const original = definition.implementation;
  const own = OVERRIDES[name]?.(original, meter) ?? original;
  function implementation(this: Focus, ...args: unknown[]): unknown {
    measure(args, meter());
    const result = own.apply(this, args);
    if (typeof result === "string" || (typeof result === "object" && !(result instanceof Promise))) {
      meter().weigh(result);
    }
    return result;
  }
  // The library reads number and names of the parameters from the function.
  Object.defineProperties(implementation, {
    length: { value: own.length },
    toString: { value: () => own.toString() },
  });
  const fixed = { value: implementation, writable: false, configurable: false, enumerable: true };
  Object.defineProperty(definition, "implementation", fixed);
  Object.defineProperty(definition, "_jsonata_function", { ...fixed, value: true });
  const { signature } = definition as { signature?: unknown };
  Object.defineProperty(definition, "signature", { ...fixed, value: Object.freeze(signature) });
}

function measure(args: readonly unknown[], meter: Meter): void {
  let units = 10;
  for (const arg of args) {
    if (typeof arg === "string") units += arg.length / 4;
    else if (Array.isArray(arg)) units += arg.length;
    else if (typeof arg === "number" && !Number.isFinite(arg)) throw new Error("a number is out of range");
  }
  meter.spend(units);
}

type List = readonly unknown[];

/** `undefined` in, `undefined` out, as the library does it. */
const OVERRIDES: Readonly<Record<string, Override>> = {
  ...dateNatives,
  ...listNatives,

  eval: () =>
    function evaluate(_text: unknown) {
      throw new Error("$eval is not available");
    },

  string: (original, meter) =>
    function string(this: Focus, arg: unknown, prettify: unknown) {
      const weight = meter().weigh(arg);
      // Each line may be indented to the deepest level.
      if (prettify === true) meter().expect(weight * 8);
      meter().spend(weight);
      return original.call(this, arg, prettify);
    },

  substring: (original, meter) =>
    function substring(this: Focus, text: unknown, start: unknown, length: unknown) {
      if (typeof text === "string") meter().spend(text.length * 4);
      return original.call(this, text, start, length);
    },

  length: (original, meter) =>
    function length(this: Focus, text: unknown) {
      if (typeof text === "string") meter().spend(text.length * 3);
      return original.call(this, text);
    },

  trim: (original, meter) =>
    function trim(this: Focus, text: unknown) {
      if (typeof text === "string") meter().spend(text.length * 3);
      return original.call(this, text);
    },

  pad: (_original, meter) =>
    function pad(text: string | undefined, width: number, characters: string | undefined) {
      if (text === undefined) return undefined;
      meter().expect(Math.abs(width));
      meter().spend(Math.abs(width) + text.length * 3);
      const missing = Math.abs(Math.trunc(width)) - Array.from(text).length;
      if (missing <= 0) return text;
      const given = characters === undefined || characters === "" ? " " : characters;
      const filling = Array.from(given.slice(0, 1000));
      const repeated = filling.join("").repeat(Math.ceil(missing / filling.length));
      const padding = filling.length === 1 ? repeated : Array.from(repeated).slice(0, missing).join("");
      return width > 0 ? text + padding : padding + text;
    },

  contains: searching,
  substringBefore: searching,
  substringAfter: searching,

  replace: (original, meter) =>
    function replace(this: Focus, str: unknown, pattern: unknown, replacement: unknown, limit: unknown) {
      if (typeof str === "string" && typeof pattern === "string") {
        spendSearch(str, pattern, meter());
        // Each match writes one replacement.
        const matches = pattern === "" ? 0 : Math.floor(str.length / pattern.length);
        meter().spend(matches * 5);
        if (typeof replacement === "string") meter().expect(countUpTo(str, pattern) * replacement.length);
      }
      return original.call(this, str, pattern, replacement, limit);
    },

  split: (original, meter) =>
    function split(this: Focus, str: unknown, separator: unknown, limit: unknown) {
      if (
        typeof str !== "string" ||
        typeof separator !== "string" ||
        (typeof limit === "number" && limit < 0)
      ) {
        return original.call(this, str, separator, limit);
      }
      spendSearch(str, separator, meter());
      const most = typeof limit === "number" ? Math.ceil(limit) : Infinity;
      const parts = str.split(separator, Math.min(most, MAX_ITEMS + 1));
      if (parts.length > MAX_ITEMS) throw tooMany();
      return parts;
    },

  join: (original, meter) =>
    function join(this: Focus, texts: List | undefined, separator: unknown) {
      if (texts === undefined) return undefined;
      const between = typeof separator === "string" ? separator.length : 0;
      let length = between * texts.length;
      for (const text of texts) length += typeof text === "string" ? text.length : 0;
      meter().expect(length);
      return original.call(this, texts, separator);
    },

  number: (original) =>
    function number(this: Focus, arg: unknown) {
      if (typeof arg === "string" && arg.length > 1000)
        throw new Error("a number has 1000 characters at most");
      return original.call(this, arg);
    },

  clone: (original, meter) =>
    function clone(this: Focus, arg: unknown) {
      meter().spend(meter().weigh(arg) * 2);
      return original.call(this, arg);
    },
};
function searching(original: Native, meter: () => Meter): Native {
  return function search(this: Focus, str: unknown, token: unknown) {
    if (typeof str === "string" && typeof token === "string") spendSearch(str, token, meter());
    return original.call(this, str, token);
  };
}

function countUpTo(text: string, part: string): number {
  let count = 0;
  if (part === "") return count;
  for (
    let at = text.indexOf(part);
    at !== -1 && count < MAX_TEXT;
    at = text.indexOf(part, at + part.length)
  ) {
    count += 1;
  }
  return count;
}

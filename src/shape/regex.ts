// Runs the regular expressions of an expression in linear time: RE2 in place of the engine that backtracks. PURE.

import { type Matcher, RE2JS } from "re2js";
import { BoundError, type Meter } from "./meter.ts";

/** By the object that the parser made of a pattern. */
export type Patterns = WeakMap<object, RE2JS>;

const MAX_PROGRAM = 2000;

/** Throws an Error whose message says what RE2 does not take. */
export function compilePattern({ source, flags }: RegExp): RE2JS {
  const options =
    (flags.includes("i") ? RE2JS.CASE_INSENSITIVE : 0) | (flags.includes("m") ? RE2JS.MULTILINE : 0);
  const pattern = RE2JS.compile(RE2JS.translateRegExp(source), options);
  if (pattern.programSize() > MAX_PROGRAM) throw new Error("it is too large: its repetitions multiply");
  return pattern;
}

/** What the library asks of an engine. */
interface Engine {
  lastIndex: number;
  exec: (text: unknown) => Match | null;
}

type Match = (string | undefined)[] & { index: number };

/**
 * A constructor for the library's `RegexEngine`. An exec costs the most that its program may take, for nothing can
 * interrupt it.
 */
export function createRegexEngine(patterns: Patterns, meter: () => Meter): new (pattern: object) => Engine {
  return class implements Engine {
    lastIndex = 0;
    readonly #pattern: RE2JS;
    #text = "";
    #matcher: Matcher | null = null;

    constructor(pattern: object) {
      const known = patterns.get(pattern);
      if (known === undefined) throw new Error("Unknown pattern");
      this.#pattern = known;
    }

    exec(text: unknown): Match | null {
      if (typeof text !== "string") throw new BoundError("a regular expression takes a text");
      const length = Math.max(0, text.length - this.lastIndex);
      meter().spend(1000 + length * (100 + 2 * this.#pattern.programSize()));
      if (this.#matcher === null || this.#text !== text) {
        this.#text = text;
        this.#matcher = this.#pattern.matcher(text);
      }
      const matcher = this.#matcher;
      if (this.lastIndex > text.length || !matcher.find(this.lastIndex)) {
        this.lastIndex = 0;
        return null;
      }
      this.lastIndex = matcher.end();
      const groups = Array.from(
        { length: matcher.groupCount() + 1 },
        (_, at) => matcher.group(at) ?? undefined,
      );
      return Object.assign(groups, { index: matcher.start() });
    }
  };
}

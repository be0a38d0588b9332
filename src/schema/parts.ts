// The building blocks of the schemas: each has a description, and its messages say what was found and what is allowed.

import * as v from "valibot";
import { _addIssue as addIssue } from "valibot";
import { unknownKeyMessage } from "./nearest.ts";

const MAX_SHOWN_LENGTH = 40;
/** In one object; further ones are only counted. */
const MAX_REPORTED_KEYS = 100;

const SHOWN =
  /^(?:-?[\d._]{1,9}(?: ?[a-z]{1,7})?|P(?:T?\d{1,5}[DHMS]){1,4}|\d{4}-\d\d-\d\d[\dT:+Z. -]{0,20}|true|false|yes|no|on|off|null)$/iu;

/** Describes a value without showing a secret: a string is shown only if it looks like a number, a flag or a time. */
export function describeFound(input: unknown): string {
  if (input === null || typeof input === "number" || typeof input === "boolean") return String(input);
  if (Array.isArray(input)) return "a list";
  if (typeof input === "object") return "an object";
  if (typeof input === "string") {
    if (input === "") return '""';
    return SHOWN.test(input) ? `"${input}"` : "a string";
  }
  return "nothing";
}

/** Describes the value of a fixed choice, where a short printable word may be shown. */
function describeWord(input: unknown): string {
  const isShown = typeof input === "string" && input.length <= MAX_SHOWN_LENGTH && /^[ -~]*$/u.test(input);
  return isShown ? `"${input}"` : describeFound(input);
}

export const variantMessage = (issue: v.VariantIssue): string => {
  if (issue.expected === "Object") return `found ${describeFound(issue.input)}, allowed: an object`;
  const words = issue.expected.replace(/[()"]/gu, "").split(" | ");
  const allowed = [...new Set(words)].filter((word) => word !== "").join(", ");
  return issue.input === undefined
    ? `missing, allowed: ${allowed}`
    : `found ${describeWord(issue.input)}, allowed: ${allowed}`;
};

/**
 * A strict object. Unlike valibot's, it reports all unknown keys at once (a hundred at most), refuses arrays, and treats
 * names such as `constructor` as unknown.
 */
export function object<const Entries extends v.ObjectEntries>(entries: Entries) {
  const known = Object.keys(entries);
  const message = (issue: { readonly expected: string | null; readonly input: unknown }): string =>
    issue.expected === "Object" ? `found ${describeFound(issue.input)}, allowed: an object` : "missing";
  const base = v.strictObject(entries, message);
  const open = v.object(entries, message);
  const schema: typeof base = {
    ...base,
    "~run": (dataset, config) => {
      const input = dataset.value;
      if (typeof input !== "object" || input === null || Array.isArray(input)) {
        addIssue(base, "type", dataset, config);
        return dataset as unknown as ReturnType<(typeof base)["~run"]>;
      }
      const output = open["~run"](dataset, config) as unknown as ReturnType<(typeof base)["~run"]>;
      const given = { ...input };
      const unknown = Object.entries(given).filter(([key]) => !known.includes(key));
      const rest = unknown.length - MAX_REPORTED_KEYS;
      if (rest > 0) {
        addIssue(base, "key", output, config, { expected: "never", message: `${rest} more unknown keys` });
      }
      for (const [key, value] of unknown.slice(0, MAX_REPORTED_KEYS)) {
        addIssue(base, "key", output, config, {
          input: key,
          expected: "never",
          message: unknownKeyMessage(known),
          path: [{ type: "object", origin: "key", input: given, key, value }],
        });
      }
      return output;
    },
  };
  return schema;
}

export function flag(description: string) {
  const message = (issue: v.BooleanIssue) => `found ${describeFound(issue.input)}, allowed: true or false`;
  return v.pipe(v.boolean(message), v.description(description));
}

/** `unit`: such as "milliseconds". */
export function integer(
  description: string,
  { min, max, unit = null }: { min: number; max: number; unit?: string | null },
) {
  const number = `a whole number${unit === null ? "" : ` of ${unit}`}`;
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  const message = (issue: { readonly input: unknown }) =>
    `found ${describeFound(issue.input)}, allowed: ${number} ${range}`;
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(min, message),
    v.maxValue(max, message),
    v.description(description),
    v.metadata({ unit }),
  );
}

export function choice<const Words extends readonly string[]>(description: string, words: Words) {
  return v.pipe(v.picklist(words, choiceMessage(words)), v.description(description));
}

/** The message that lists `words` as the allowed ones. */
export function choiceMessage(words: readonly string[]) {
  return (issue: { readonly input: unknown }) =>
    `found ${describeWord(issue.input)}, allowed: ${words.join(", ")}`;
}

/** A string that matches `pattern`. `allowed` completes the sentence "allowed: …". The message hides the found text. */
export function text(description: string, { pattern, allowed }: { pattern: RegExp; allowed: string }) {
  const message = (issue: { readonly input: unknown }) => {
    const found = describeFound(issue.input);
    return `found ${found === "a string" ? "a string of another form" : found}, allowed: ${allowed}`;
  };
  return v.pipe(v.string(message), v.regex(pattern, message), v.description(description));
}

export function name(description: string) {
  return text(description, {
    pattern: /^[^\p{C}\p{Zl}\p{Zp}]{1,128}$/u,
    allowed: "1 to 128 printable characters",
  });
}

export const ID = /^[A-Za-z0-9_-]{1,128}$/u;

/** No reference may replace an id, because other parts of the file refer to it. */
export function id(description: string) {
  const schema = text(description, { pattern: ID, allowed: '1 to 128 letters, digits, "-" and "_"' });
  return v.pipe(schema, v.metadata({ isId: true }));
}

export function path(description: string) {
  return text(description, { pattern: /^[^\0]{1,4096}$/u, allowed: "a path" });
}

export function host(description: string) {
  return text(description, {
    pattern: /^[A-Za-z0-9._:-]{1,253}$/u,
    allowed: "a host name or an IP address",
  });
}

/** RFC 3339 with optional seconds. */
export const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/u;

export function timestamp(description: string) {
  return text(description, {
    pattern: TIMESTAMP,
    allowed: "a time such as 2026-01-31T12:00:00Z",
  });
}

/** False for a day that does not exist: `Date.parse` takes the 31st of February for a day in March. */
export function isOnCalendar(time: string): boolean {
  const day = time.slice(0, "2026-01-31".length);
  return !Number.isNaN(Date.parse(time)) && new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
}

/** A `timestamp` of a day that exists. */
export function calendarTime(description: string) {
  return v.pipe(timestamp(description), v.check(isOnCalendar, "allowed: a time that exists"));
}

/** Accepts null for an absent value, as other programs write it. */
export function absentAsNull<const Schema extends v.GenericSchema>(schema: Schema) {
  return v.pipe(
    v.nullable(schema),
    v.transform((input) => input ?? undefined),
  );
}

/** `min` to `max` entries; by default 0 to 1000. */
export function list<const Item extends v.GenericSchema>(
  item: Item,
  { description, min = 0, max = 1000 }: { description: string; min?: number; max?: number },
) {
  const allowed = min === 0 ? `a list of at most ${max}` : `a list of ${min} to ${max}`;
  const message = (issue: { readonly input: unknown }) =>
    Array.isArray(issue.input)
      ? `found a list of ${issue.input.length}, allowed: ${allowed}`
      : `found ${describeFound(issue.input)}, allowed: ${allowed}`;
  const base = v.array(item, message);
  const bounded: typeof base = {
    ...base,
    "~run": (dataset, config) => {
      if (!Array.isArray(dataset.value) || dataset.value.length <= max) return base["~run"](dataset, config);
      // The entries of a list that is too long are not checked: each might be one more fault.
      addIssue(base, "type", dataset, config);
      return dataset as unknown as ReturnType<(typeof base)["~run"]>;
    },
  };
  return v.pipe(bounded, v.minLength(min, message), v.maxLength(max, message), v.description(description));
}

/** An object of strings under any names. Unlike valibot's record, it refuses arrays and keeps names such as `__proto__`. */
export function strings(description: string) {
  const message = ({ input }: { readonly input: unknown }) =>
    `found ${describeFound(input)}, allowed: an object of strings`;
  const valueMessage = ({ input }: { readonly input: unknown }) =>
    `found ${describeFound(input)}, allowed: a string`;
  const base = v.record(v.string(), v.string(valueMessage), message);
  const schema: typeof base = {
    ...base,
    "~run": (dataset, config) => {
      const input: unknown = dataset.value;
      if (typeof input !== "object" || input === null || Array.isArray(input)) {
        addIssue(base, "type", dataset, config);
        return dataset as unknown as ReturnType<(typeof base)["~run"]>;
      }
      const given: Record<string, unknown> = { ...input };
      const output = { typed: true, value: given } as unknown as ReturnType<(typeof base)["~run"]>;
      const faulty = Object.entries(given).filter(([, value]) => typeof value !== "string");
      for (const [key, value] of faulty.slice(0, MAX_REPORTED_KEYS)) {
        addIssue(base, "value", output, config, {
          input: value,
          expected: "string",
          message: valueMessage({ input: value }),
          path: [{ type: "object", origin: "value", input: given, key, value }],
        });
      }
      return output;
    },
  };
  return v.pipe(schema, v.description(description));
}

// Guesses the intended value when a value has the wrong form: rewrites it until the schema accepts it.

import * as v from "valibot";
import { isObject } from "#lib/json.ts";
import { nearestOf } from "./nearest.ts";
import { isSecret } from "./secret.ts";
import { choicesOf, entriesOf, isReferable, shapeOf, wordOf } from "./unwrap.ts";
import { adviseVariable } from "./variables.ts";

type Json = Readonly<Record<string, unknown>>;

/** In characters. Longer texts are not rewritten: none of the known mistakes is that long. */
const MAX_TEXT = 300;
const MAX_SHOWN = 160;

/** Says what to write instead of `input`, which `schema` refuses; null: nothing similar fits. Shows no secret. */
export function adviseValue(input: unknown, schema: v.GenericSchema): string | null {
  if (input === null || input === "") return schema.type === "optional" ? "leave the key out" : null;
  if (typeof input === "string") {
    const variable = /\$\{|\{\{/u.test(input)
      ? adviseVariable(input, { isReferable: isReferable(schema) })
      : null;
    if (variable !== null) return variable;
    const nearest = nearestOf(input, choicesOf(schema));
    if (nearest !== null) return `did you mean "${nearest}"?`;
  }
  for (const candidate of rewrite(input, schema)) {
    // An optional schema accepts undefined, which is no advice.
    const result = candidate === undefined ? null : v.safeParse(schema, candidate);
    if (result?.success !== true) continue;
    const whole = show(candidate, result.output);
    const shown = whole.length > MAX_SHOWN ? outline(candidate) : whole;
    if (shown === "…") return typeof candidate === "string" ? "write it in quotes" : null;
    if (typeof input === "string" && typeof candidate === "number") return `write ${shown}, without quotes`;
    if (typeof input === "string" && typeof candidate === "boolean") return `write ${shown}, without quotes`;
    return `write ${shown}${typeof candidate === "string" && typeof input !== "string" ? ", in quotes" : ""}`;
  }
  return null;
}

/** Says what to write for the discriminator of a variant when it is missing or wrong. */
export function adviseWord(
  input: unknown,
  { variant, given }: { variant: v.GenericSchema; given: Json },
): string | null {
  const shape = shapeOf(variant);
  if (shape.kind !== "variant") return null;
  const words = shape.options.map((option) => wordOf(option, shape.discriminator));
  if (typeof input === "string") {
    const nearest = nearestOf(input, words);
    if (nearest !== null) return `did you mean "${nearest}"?`;
  }
  const isOn = input === true || input === "true";
  if ((isOn || input === false || input === "false") && words.length === 2)
    return `write "${words[isOn ? 1 : 0]}"`;
  const keys = Object.keys(given).filter((key) => key !== shape.discriminator);
  const fitting = words.filter((word) => keys.every((key) => key in entriesOf(variant, word)));
  const [only, ...others] = fitting;
  if (keys.length === 0 || only === undefined || others.length > 0) return null;
  return `write "${shape.discriminator}": "${only}"`;
}

function* rewrite(input: unknown, schema: v.GenericSchema): Generator {
  const shape = shapeOf(schema);
  switch (shape.kind) {
    case "list":
      yield* toLists(input);
      return;
    case "object":
    case "variant":
      yield* toObjects(input, schema);
      return;
    case "value":
      if (isReferable(schema)) yield* toReferences(input);
      if (typeof input === "string" && input.length <= MAX_TEXT) yield* fromText(input, unitOf(schema));
      if (typeof input === "number") yield* fromNumber(input, unitOf(schema));
      if (typeof input === "boolean") yield String(input);
      if (Array.isArray(input)) yield toMap(input);
      if (Array.isArray(input) && input.length === 1) yield input[0];
  }
}

/** A single item, items separated by commas, and an object of items by name. */
function* toLists(input: unknown): Generator {
  yield [input];
  yield [toHeader(input)];
  if (typeof input === "string") yield input.split(/[\s,;]+/u).filter((part) => part !== "");
  if (!isObject(input)) return;
  const entries = Object.entries(input);
  yield entries.map(([name, value]) => ({ name, value }));
  for (const key of ["name", "id"]) {
    yield entries.map(([name, value]) => (isObject(value) ? Object.assign({ [key]: name }, value) : value));
  }
}

/** The discriminator alone, the value of one key alone, or a flag for `enabled`. */
function* toObjects(input: unknown, schema: v.GenericSchema): Generator {
  const shape = shapeOf(schema);
  if (shape.kind === "variant") {
    const words = shape.options.map((option) => wordOf(option, shape.discriminator));
    const word = typeof input === "string" ? nearestOf(input, words) : null;
    if (word !== null) yield { [shape.discriminator]: word };
    if (typeof input === "boolean" && words.length === 2)
      yield { [shape.discriminator]: words[input ? 1 : 0] };
    for (const word of words) yield* inKeys(input, { schema, given: { [shape.discriminator]: word } });
  } else if (typeof input !== "number") yield* inKeys(input, { schema, given: {} });
  if (Array.isArray(input) && input.length === 1) {
    yield input[0];
    yield* toObjects(input[0], schema);
  }
  yield toHeader(input);
}

/** `Name: value`, as HTTP writes it. */
function toHeader(input: unknown): unknown {
  const [, name, value] = /^([\w-]+):\s*(.*)$/u.exec(typeof input === "string" ? input : "") ?? [];
  return name === undefined ? undefined : { name, value };
}

/** The value as each key of the object. Not as an optional secret, which accepts any text; a flag only as `enabled`. */
function* inKeys(input: unknown, { schema, given }: { schema: v.GenericSchema; given: Json }): Generator {
  if (isObject(input)) return;
  const entries = Object.entries(entriesOf(schema, Object.values(given)[0]));
  for (const [key, entry] of entries) {
    const isFree = isReferable(entry) && entry.type === "optional";
    if (key in given || isFree || (typeof input === "boolean" && key !== "enabled")) continue;
    yield { ...given, [key]: input };
    yield { ...given, [key]: [input] };
  }
}

/** A list of `{ name, value }` as an object. */
function toMap(input: readonly unknown[]): unknown {
  const pairs = input.map((item) => (isObject(item) ? [item["name"] ?? item["key"], item["value"]] : []));
  return pairs.every(([name]) => typeof name === "string")
    ? Object.fromEntries(pairs as [string, unknown][])
    : undefined;
}

function* toReferences(input: unknown): Generator {
  if (typeof input === "number" || typeof input === "boolean") yield String(input);
  if (!isObject(input)) return;
  const [first] = Object.entries(input);
  if (first === undefined) return;
  const [key, value] = first;
  const kind = { env: /env|variable/iu, file: /file|path/iu, credential: /cred/iu };
  for (const [word, pattern] of Object.entries(kind)) if (pattern.test(key)) yield { [word]: value };
}

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  milliseconds: 1,
  s: 1000,
  seconds: 1000,
  m: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hours: 3_600_000,
  d: 86_400_000,
  days: 86_400_000,
};

function* fromText(input: string, unit: string | null): Generator {
  const text = input.trim();
  yield text;
  yield toNumber(text, unit);
  if (/^(?:true|yes|on|1)$/iu.test(text)) yield true;
  if (/^(?:false|no|off|0)$/iu.test(text)) yield false;
  yield* toTimes(text);
  yield text.replace(/^\/+/u, "");
  if (!text.includes("://")) yield toSubject(text);
  const scheme = text.startsWith("tls:") ? "tls" : "nats";
  yield text.replace(
    /^(?:https?|nats|tls|wss?):\/\/(?:[^@/\s]*@)?([^/\s@]+)(?:\/[^@]*)?$/u,
    `${scheme}://$1`,
  );
  yield text.replace(/^\w+:\/\/(?:[^@/]*@)?([^/:\s@]+)(?:[:/][^@]*)?$/u, "$1");
  yield text.replace(/^\*?:?(\d{1,5})$/u, "127.0.0.1:$1");
  yield `/${text}`;
  if (text.includes("/")) yield { file: text };
  yield text.replaceAll(/[ ./]+/gu, "-");
}

/** Converts an MQTT topic: NATS separates tokens by dots, and its wildcards are `*` and `>`. */
export function toSubject(text: string): string {
  const subject = text.replace(/^\/+/u, "").replaceAll("/", ".");
  return subject.replace(/(^|\.)#$/u, "$1>").replaceAll(/(^|\.)\+(?=\.|$)/gu, "$1*");
}

/** Milliseconds as seconds, a bit as a flag, a Unix time as a timestamp, a port as an address. */
function* fromNumber(input: number, unit: string | null): Generator {
  yield String(input);
  if (unit === "seconds" && input % 1000 === 0) yield input / 1000;
  if (input === 0 || input === 1) yield input === 1;
  if (input > 1e9 && input < 1e14) yield new Date(input < 1e11 ? input * 1000 : input).toISOString();
  yield `127.0.0.1:${input}`;
}

/** Converts `"10s"`, `"PT10S"`, `"256MB"` or `"1_000"` to a number in the unit of the key; undefined: it is none of them. */
export function toNumber(text: string, unit: string | null): number | undefined {
  const [, digits = "", word = ""] = /^(?:PT)?(\d[\d_]*(?:\.\d+)?)\s*([a-z]*)$/iu.exec(text) ?? [];
  if (digits === "") return undefined;
  const number = Number(digits.replaceAll("_", ""));
  if (word === "") return number;
  const [, power] = /^([kmgt])i?b?$/iu.exec(word) ?? [];
  if (unit === "bytes" && power !== undefined)
    return number * 1024 ** ("kmgt".indexOf(power.toLowerCase()) + 1);
  const from = lookUpUnit(word);
  const to = unit === null ? undefined : UNITS_MS[unit];
  return from === undefined || to === undefined ? undefined : (number * from) / to;
}

function lookUpUnit(word: string): number | undefined {
  const folded = word.toLowerCase();
  return Object.entries(UNITS_MS).find(
    ([name]) => name === folded || (folded.length > 2 && name.startsWith(folded)),
  )?.[1];
}

/** The text as an RFC 3339 time, or as an ISO 8601 duration. */
function* toTimes(text: string): Generator {
  if (/^\d{4}-\d\d-\d\d$/u.test(text)) yield `${text}T00:00:00Z`;
  const time = text.replace(/^(\d{4}-\d\d-\d\d) +/u, "$1T").replace(/ +(?=[+-])/u, "");
  yield time;
  if (/^\d{4}-/u.test(time)) yield `${time}Z`;
  const duration = /^(?:(\d+)\/)?(\d+)\s*([smhd])/iu.exec(text);
  if (duration === null) return;
  const [, count, amount = "", unit = ""] = duration;
  const iso = unit.toLowerCase() === "d" ? `P${amount}D` : `PT${amount}${unit.toUpperCase()}`;
  yield count === undefined ? iso : `${count}/${iso}`;
}

/** The unit of a number, such as `milliseconds`; null: it has none. */
export function unitOf(schema: v.GenericSchema): string | null {
  const shape = shapeOf(schema);
  const unit = shape.kind === "value" ? v.getMetadata(shape.schema)["unit"] : null;
  return typeof unit === "string" ? unit : null;
}

/** The candidate as JSON, with secrets replaced by "…". `output`: its parsed form, which marks the secrets. */
function show(candidate: unknown, output: unknown): string {
  if (isSecret(output) && !output.isPublic && output.source.kind === "inline") return "…";
  if (Array.isArray(candidate)) {
    const outputs: readonly unknown[] = Array.isArray(output) ? output : [];
    return `[${candidate.map((item, index) => show(item, outputs[index])).join(", ")}]`;
  }
  if (!isObject(candidate)) return JSON.stringify(candidate);
  const made = isObject(output) ? output : {};
  const parts = Object.entries(candidate).map(
    ([key, value]) => `${JSON.stringify(key)}: ${show(value, made[key])}`,
  );
  return `{ ${parts.join(", ")} }`;
}

/** Outlines a candidate that is too long to show: its brackets, and the name or id inside. */
function outline(candidate: unknown): string {
  if (Array.isArray(candidate)) return `[${outline(candidate[0])}${candidate.length > 1 ? ", …" : ""}]`;
  if (!isObject(candidate)) return "…";
  const { name, id } = candidate;
  const named = Object.entries({ name, id }).find(([, value]) => typeof value === "string");
  return named === undefined ? "{ … }" : `{ "${named[0]}": ${JSON.stringify(named[1])}, … }`;
}

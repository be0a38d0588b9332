// Validates the file against its schema: reports every fault, and keeps the valid parts for further checks.

import * as v from "valibot";
import { isObject } from "#lib/json.ts";
import { type ConfigFile, configSchema } from "./file.ts";
import { type Fault, type Path, valueAt } from "./issue.ts";
import { adviseKey } from "./key-advice.ts";
import type { Secret } from "./secret.ts";
import { choicesOf, entriesOf, innerOf, shapeOf, wordOf } from "./unwrap.ts";
import { adviseValue, adviseWord } from "./value-advice.ts";

/** A file without its faulty parts: any part may be missing, and the present ones have their types. */
export type Sound<T> = T extends Secret | string | number | boolean | null | undefined
  ? T
  : T extends readonly (infer Item)[]
    ? readonly (Sound<Item> | undefined)[]
    : { readonly [Key in keyof T]?: Sound<T[Key]> | undefined };

export type SoundFile = Sound<ConfigFile>;

export type Validation =
  | { readonly kind: "valid"; readonly file: ConfigFile }
  | { readonly kind: "invalid"; readonly faults: readonly SchemaFault[]; readonly sound: SoundFile };

export interface SchemaFault extends Fault {
  /** An unknown key is reported at the key, every other fault at the value. */
  readonly at: "key" | "value";
}

/** Further faults come without advice, which costs time: whoever has that many starts with the first. */
const MAX_ADVISED = 100;

export function validate(value: unknown): Validation {
  const result = v.safeParse(configSchema, value);
  if (result.success) return { kind: "valid", file: result.output };
  const faults = result.issues.map((issue, index) => toFault(issue, index < MAX_ADVISED ? value : null));
  const sound = result.issues.reduce(
    (rest: unknown, issue) => (issue.expected === "never" ? rest : without(rest, unsoundPathOf(issue))),
    result.output,
  );
  return { kind: "invalid", faults, sound: isObject(sound) ? sound : {} };
}

/** `root`: the file, for advice; null: no advice. */
function toFault(issue: v.BaseIssue<unknown>, root: unknown): SchemaFault {
  const path = pathOf(issue);
  const { message } = issue;
  if (issue.expected === "never") {
    const suggestion = root === null ? null : adviseUnknown(path, root);
    return { path, message: suggestion === null ? message : "unknown key", suggestion, at: "key" };
  }
  const schema = schemaAt(path, root);
  if (schema === null || root === null) return { path, message, at: "value" };
  if (message === "missing") {
    const [word, ...others] = choicesOf(schema);
    const only = word === undefined || others.length > 0 ? null : `write "${path.at(-1)}": "${word}"`;
    const suggestion =
      path.length === 1 ? "relay init --print shows a whole config" : (only ?? meaningOf(schema));
    return { path, message: missingMessage(schema), suggestion, at: "value" };
  }
  const given = valueAt(root, path.slice(0, -1));
  const variant = issue.type === "variant" ? schemaAt(path.slice(0, -1), root) : null;
  const isDiscriminator = variant !== null && shapeOf(variant).kind === "variant";
  const suggestion =
    isDiscriminator && Array.isArray(given)
      ? "write the object without the brackets of a list"
      : isDiscriminator && isObject(given)
        ? adviseWord(issue.input, { variant, given })
        : adviseValue(issue.input, schema);
  return { path, message: message.replace(/\ban object$/u, describeObject(schema)), suggestion, at: "value" };
}

function adviseUnknown(path: Path, root: unknown): string | null {
  const parent = path.slice(0, -1);
  const object = valueAt(root, parent);
  const entries = entriesAt(parent, root);
  const known = Object.keys(entries);
  const isThere = (key: string) => isObject(object) && key in object;
  const takes = (key: string) => {
    const entry = entries[key];
    return entry !== undefined && !isThere(key) && v.is(entry, valueAt(root, path));
  };
  const [missing, ...others] = known.filter((key) => entries[key]?.type !== "optional" && !isThere(key));
  const only = missing !== undefined && others.length === 0 && takes(missing) ? missing : null;
  return adviseKey(path, { known, takes, missing: only, root });
}

function meaningOf(schema: v.GenericSchema): string | null {
  const meaning = v.getDescription(innerOf(schema));
  return meaning?.includes(" ") === true ? `it means: ${meaning}` : null;
}

const MAX_LISTED = 8;

/** `an object with "type": none, basic`, `an object with endpoint, replay`. */
function describeObject(schema: v.GenericSchema): string {
  const shape = shapeOf(schema);
  if (shape.kind === "variant") {
    const words = shape.options.map((option) => wordOf(option, shape.discriminator));
    return `an object with "${shape.discriminator}": ${words.filter((word) => word !== "").join(", ")}`;
  }
  const keys = Object.keys(entriesOf(schema));
  return keys.length === 0 || keys.length > MAX_LISTED ? "an object" : `an object with ${keys.join(", ")}`;
}

/** Takes the allowed values from the schema's own message. */
function missingMessage(schema: v.GenericSchema): string {
  const [issue] = v.safeParse(schema, undefined).issues ?? [];
  const [, allowed] = /allowed: (.+)$/u.exec(issue?.message ?? "") ?? [];
  return allowed === undefined
    ? "missing"
    : `missing, allowed: ${allowed.replace(/^an object$/u, describeObject(schema))}`;
}

/** The schema of the value at `path`; null: there is none, or `path` is the root. */
function schemaAt(path: Path, root: unknown): v.GenericSchema | null {
  const key = path.at(-1);
  if (key === undefined) return null;
  const parent = path.slice(0, -1);
  if (typeof key !== "number") return entriesAt(parent, root)[key] ?? null;
  const list = schemaAt(parent, root);
  const shape = list === null ? null : shapeOf(list);
  return shape?.kind === "list" ? shape.item : null;
}

function entriesAt(path: Path, root: unknown) {
  const schema = path.length === 0 ? configSchema : schemaAt(path, root);
  if (schema === null) return {};
  const shape = shapeOf(schema);
  const word = shape.kind === "variant" ? valueAt(root, [...path, shape.discriminator]) : undefined;
  return entriesOf(schema, word);
}

function pathOf(issue: v.BaseIssue<unknown>): Path {
  return (issue.path ?? []).map(({ key }) => (typeof key === "number" ? key : String(key)));
}

/** Drops the whole union if its discriminator is faulty, because its keys are then unknown; likewise a whole record. */
function unsoundPathOf(issue: v.BaseIssue<unknown>): Path {
  const path = pathOf(issue);
  const isOfWhole = issue.type === "variant" || issue.type === "record";
  return isOfWhole && issue.expected !== "Object" ? path.slice(0, -1) : path;
}

/** A copy in which the value at `path` is undefined. */
function without(value: unknown, path: Path): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return undefined;
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) => (index === key ? without(item, rest) : item));
  }
  if (!isObject(value) || !(key in value)) return value;
  return { ...value, [key]: without(value[key], rest) };
}

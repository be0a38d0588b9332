// The file against its schema: every fault at once, and what is left for the further checks.

import * as v from "valibot";
import type { Fault, Path } from "./issue.ts";
import { type ConfigFile, configSchema } from "./schema.ts";
import type { Secret } from "./schema-secret.ts";

/** What a file with faults is known to say: any part may be missing, what is there is of its type. */
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
  /** An unknown key is reported where the key stands, anything else where the value does. */
  readonly at: "key" | "value";
}

export function validate(value: unknown): Validation {
  const result = v.safeParse(configSchema, value);
  if (result.success) return { kind: "valid", file: result.output };
  const faults = result.issues.map((issue) => ({
    path: pathOf(issue),
    message: issue.message,
    at: issue.expected === "never" ? ("key" as const) : ("value" as const),
  }));
  const sound = result.issues.reduce(
    (rest: unknown, issue) => (issue.expected === "never" ? rest : without(rest, unsoundPathOf(issue))),
    result.output,
  );
  return { kind: "invalid", faults, sound: isObject(sound) ? sound : {} };
}

function pathOf(issue: v.BaseIssue<unknown>): Path {
  return (issue.path ?? []).map(({ key }) => (typeof key === "number" ? key : String(key)));
}

/** Of a union whose kind is not known, nothing is; nor of texts that are none, which may be many. */
function unsoundPathOf(issue: v.BaseIssue<unknown>): Path {
  const path = pathOf(issue);
  const isOfWhole = issue.type === "variant" || issue.type === "record";
  return isOfWhole && issue.expected !== "Object" ? path.slice(0, -1) : path;
}

/** A copy in which what stands at `path` is undefined. */
function without(value: unknown, path: Path): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return undefined;
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) => (index === key ? without(item, rest) : item));
  }
  if (!isObject(value) || !(key in value)) return value;
  return { ...value, [key]: without((value as Record<string, unknown>)[key], rest) };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

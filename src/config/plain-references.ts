// Replaces references (`{ "env": … }`) to strings that are no secrets by their values, before the file is validated.
//
// A secret keeps its reference, because its value must not be shown.

import * as v from "valibot";
import { configSchema } from "#schema/file.ts";
import { type Fault, type Path, valueAt } from "#schema/issue.ts";
import { reference, type SecretSource, toSource } from "#schema/secret.ts";
import { toWrittenPath } from "#schema/subscription.ts";
import { entriesOf, innerOf, isReferable, shapeOf } from "#schema/unwrap.ts";
import { type ConfigContext, isLookedUp, readSecret } from "./secrets.ts";

/** A reference of the file: its path, and where it points. */
export interface ReferenceUse {
  readonly path: Path;
  readonly source: Exclude<SecretSource, { kind: "inline" }>;
}

interface Substitution {
  /** The file with values in place of references. */
  readonly value: unknown;
  readonly uses: readonly ReferenceUse[];
  readonly faults: readonly Fault[];
  /** Paths of placeholders: faults at these paths are not faults of the file. */
  readonly unread: readonly Path[];
}

export function putValues(root: unknown, context: ConfigContext): Substitution {
  const places = findReferences(root, []).flatMap((path) => {
    const schema = schemaOf(path, root);
    const string = schema === null ? null : stringIn(schema);
    return string === null ? [] : [{ path, string }];
  });
  if (places.length === 0) return { value: root, uses: [], faults: [], unread: [] };
  const value = structuredClone(root);
  const uses: ReferenceUse[] = [];
  const faults: Fault[] = [];
  const unread: Path[] = [];
  for (const { path, string } of places) {
    const source = toSource(valueAt(root, path) as v.InferOutput<typeof reference>);
    uses.push({ path, source });
    const result = isLookedUp({ path, source }, context) ? readSecret(source, context) : null;
    if (result?.kind === "missing") {
      faults.push({ path, message: result.message, suggestion: result.suggestion ?? null });
    }
    if (result?.kind !== "value") unread.push(path);
    put(value, path, result?.kind === "value" ? result.value : toPlaceholder(string));
  }
  return { value, uses, faults, unread };
}

/** Drops faults about placeholders, and adds the source of the value to faults about referenced values. */
export function explainFaults<F extends Fault>(
  faults: readonly F[],
  { value, uses, unread }: Pick<Substitution, "value" | "uses" | "unread">,
): readonly F[] {
  if (uses.length === 0) return faults;
  const sources = new Map(uses.map(({ path, source }) => [keyOf(path), source]));
  const ignored = new Set(unread.map(keyOf));
  return faults.flatMap((fault) => {
    const key = keyOf(toWrittenPath(fault.path, value));
    if (ignored.has(key)) return [];
    const source = sources.get(key);
    // A suggestion might show a part of the value, and the environment may hold what the file does not say.
    return source === undefined
      ? [fault]
      : [{ ...fault, message: `${fault.message}, in ${describeSource(source)}`, suggestion: null }];
  });
}

/** `the environment variable HOOK`. */
export function describeSource({ kind, name }: ReferenceUse["source"]): string {
  return kind === "env" ? `the environment variable ${name}` : `the ${kind} ${name}`;
}

function keyOf(path: Path): string {
  return JSON.stringify(path);
}

/** The paths of all objects that have the form of a reference. */
function findReferences(value: unknown, path: Path): Path[] {
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown, index) => findReferences(item, [...path, index]));
  }
  if (isReference(value)) return [path];
  return Object.entries(value).flatMap(([key, inner]) => findReferences(inner, [...path, key]));
}

const KINDS: ReadonlySet<string> = new Set(["env", "file", "credential"]);

/** Looks at the key first, because running the schema on every object would be slow. */
function isReference(value: object): value is v.InferOutput<typeof reference> {
  const [key, ...others] = Object.keys(value);
  return key !== undefined && others.length === 0 && KINDS.has(key) && v.is(reference, value);
}

/** The schema of the value at `path`; null: the file has no such key. */
function schemaOf(path: Path, root: unknown): v.GenericSchema | null {
  let schema: v.GenericSchema = configSchema;
  let value = root;
  for (const key of path) {
    const next = step(schema, { key, value });
    if (next === null) return null;
    schema = next;
    value = valueAt(value, [key]);
  }
  return schema;
}

function step(
  schema: v.GenericSchema,
  { key, value }: { key: string | number; value: unknown },
): v.GenericSchema | null {
  const shape = shapeOf(schema);
  switch (shape.kind) {
    case "list":
      return typeof key === "number" ? shape.item : null;
    case "object":
      return Object.hasOwn(shape.entries, key) ? (shape.entries[key] ?? null) : null;
    case "variant":
      return entriesOf(schema, valueAt(value, [shape.discriminator]))[key] ?? null;
    case "value": {
      const inner = shape.schema;
      if (inner.type === "record" && "value" in inner) return inner.value as v.GenericSchema;
      for (const option of optionsOf(inner)) {
        const found = step(option, { key, value });
        if (found !== null) return found;
      }
      return null;
    }
  }
}

/** The part of the schema that accepts free text: no id, no secret, no fixed choice; null: there is none. */
function stringIn(schema: v.GenericSchema): v.GenericSchema | null {
  if (isReferable(schema)) return null;
  const inner = innerOf(schema);
  if (inner.type === "string") return v.getMetadata(inner)["isId"] === true ? null : inner;
  return optionsOf(inner).reduce<v.GenericSchema | null>((found, option) => found ?? stringIn(option), null);
}

function optionsOf(schema: v.GenericSchema): readonly v.GenericSchema[] {
  return schema.type === "union" && "options" in schema ? (schema.options as readonly v.GenericSchema[]) : [];
}

/** At least one of them is valid for each string of the file; a test makes sure of it. */
const PLACEHOLDERS = [
  "reference",
  "http://reference.invalid/",
  ">",
  "127.0.0.1:1",
  "/reference",
  "127.0.0.1",
  "2000-01-01T00:00:00Z",
  "1",
  "PT1S",
  "1/PT1S",
  "subject",
];

/** A valid value for a string whose real value is not looked up. */
export function toPlaceholder(schema: v.GenericSchema): string {
  return PLACEHOLDERS.find((text) => v.is(schema, text)) ?? "";
}

function put(root: unknown, path: Path, value: string): void {
  const parent = valueAt(root, path.slice(0, -1));
  const key = path.at(-1);
  if (typeof parent === "object" && parent !== null && key !== undefined) Reflect.set(parent, key, value);
}

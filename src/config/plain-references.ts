// Puts values in the place of references (`{ "env": … }`) to strings that are no secrets, before the file is validated.
//
// A secret keeps its reference, because it must not be shown; any other string does not: the file then says what it came to.

import * as v from "valibot";
import type { Fault, Path } from "./issue.ts";
import { configSchema } from "./schema.ts";
import { reference, type SecretSource, toSource } from "./schema-secret.ts";
import { toWrittenPath } from "./schema-subscription.ts";
import { entriesOf, innerOf, isReferable, shapeOf } from "./schema-shape.ts";
import { type ConfigContext, readSecret } from "./secrets.ts";

/** Where the value of a place comes from. */
export interface ReferenceUse {
  readonly path: Path;
  readonly source: Exclude<SecretSource, { kind: "inline" }>;
}

interface Substitution {
  /** The file with the values. */
  readonly value: unknown;
  readonly uses: readonly ReferenceUse[];
  readonly faults: readonly Fault[];
  /** Where a placeholder stands: what is said about it is not the file's fault. */
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
    const source = toSource(at(root, path) as v.InferOutput<typeof reference>);
    uses.push({ path, source });
    const result = context.withoutSecrets ? null : readSecret(source, context);
    if (result?.kind === "missing") {
      faults.push({ path, message: result.message, suggestion: result.suggestion ?? null });
    }
    if (result?.kind !== "value") unread.push(path);
    put(value, path, result?.kind === "value" ? result.value : toPlaceholder(string));
  }
  return { value, uses, faults, unread };
}

/** The faults without those about placeholders; where a value comes from stands beside those about values. */
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
    // A suggestion would show some of the value.
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

/** Where anything stands that looks like a reference. */
function findReferences(value: unknown, path: Path): Path[] {
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) {
    return value.flatMap((item: unknown, index) => findReferences(item, [...path, index]));
  }
  if (isReference(value)) return [path];
  return Object.entries(value).flatMap(([key, inner]) => findReferences(inner, [...path, key]));
}

const KINDS: ReadonlySet<string> = new Set(["env", "file", "credential"]);

/** Only what has the right key is looked at with the schema: there are many objects. */
function isReference(value: object): value is v.InferOutput<typeof reference> {
  const [key, ...others] = Object.keys(value);
  return key !== undefined && others.length === 0 && KINDS.has(key) && v.is(reference, value);
}

/** The schema of a place; null: the file knows no such place. */
function schemaOf(path: Path, root: unknown): v.GenericSchema | null {
  let schema: v.GenericSchema = configSchema;
  let value = root;
  for (const key of path) {
    const next = step(schema, { key, value });
    if (next === null) return null;
    schema = next;
    value = at(value, [key]);
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
      return entriesOf(schema, at(value, [shape.discriminator]))[key] ?? null;
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

/** The schema that takes a string, neither an id nor a secret nor one of a few words; null: there is none. */
function stringIn(schema: v.GenericSchema): v.GenericSchema | null {
  if (isReferable(schema)) return null;
  const inner = innerOf(schema);
  if (inner.type === "string") return v.getMetadata(inner)["isId"] === true ? null : inner;
  return optionsOf(inner).reduce<v.GenericSchema | null>((found, option) => found ?? stringIn(option), null);
}

function optionsOf(schema: v.GenericSchema): readonly v.GenericSchema[] {
  return schema.type === "union" && "options" in schema ? (schema.options as readonly v.GenericSchema[]) : [];
}

/** One of them fits any string of the file, as a test holds. */
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

/** Stands where the value is not known. */
export function toPlaceholder(schema: v.GenericSchema): string {
  return PLACEHOLDERS.find((text) => v.is(schema, text)) ?? "";
}

function at(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : undefined),
    root,
  );
}

function put(root: unknown, path: Path, value: string): void {
  const parent = at(root, path.slice(0, -1));
  const key = path.at(-1);
  if (typeof parent === "object" && parent !== null && key !== undefined) Reflect.set(parent, key, value);
}

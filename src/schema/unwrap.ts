// Unwraps schemas (`optional`, unions, variants) for code that walks the schema of the file instead of parsing with it.

import type { GenericSchema } from "valibot";
import { reference } from "./secret.ts";

type Entries = Readonly<Record<string, GenericSchema>>;

export type Shape =
  | { readonly kind: "object"; readonly entries: Entries }
  | { readonly kind: "variant"; readonly discriminator: string; readonly options: readonly GenericSchema[] }
  | { readonly kind: "list"; readonly item: GenericSchema }
  | { readonly kind: "value"; readonly schema: GenericSchema };

export function shapeOf(schema: GenericSchema): Shape {
  const inner = innerOf(schema);
  if (inner.type === "strict_object" && "entries" in inner) {
    return { kind: "object", entries: inner.entries as Entries };
  }
  if (inner.type === "variant" && "options" in inner && "key" in inner) {
    return {
      kind: "variant",
      discriminator: String(inner.key),
      options: inner.options as readonly GenericSchema[],
    };
  }
  if (inner.type === "array" && "item" in inner) return { kind: "list", item: inner.item as GenericSchema };
  return { kind: "value", schema: inner };
}

/** The schema without `optional` and `nullable`. */
export function innerOf(schema: GenericSchema): GenericSchema {
  const isWrapper = schema.type === "optional" || schema.type === "nullable";
  return isWrapper && "wrapped" in schema ? innerOf(schema.wrapped as GenericSchema) : schema;
}

/** The value of the discriminator in one option of a variant; empty: the option has none. */
export function wordOf(option: GenericSchema, discriminator: string): string {
  const literal = entriesOf(option)[discriminator];
  return literal !== undefined && "literal" in literal ? String(literal.literal) : "";
}

/** The keys of an object, or of the variant's option whose discriminator is `word`; of all options if none matches. */
export function entriesOf(schema: GenericSchema, word?: unknown): Entries {
  const shape = shapeOf(schema);
  if (shape.kind === "object") return shape.entries;
  if (shape.kind !== "variant") return {};
  const chosen = shape.options.filter((option) => wordOf(option, shape.discriminator) === word);
  const options = chosen.length === 0 ? shape.options : chosen;
  return Object.assign({}, ...options.map((option) => entriesOf(option))) as Entries;
}

/** The words of a fixed choice; empty: the value is no choice. */
export function choicesOf(schema: GenericSchema): readonly string[] {
  const inner = innerOf(schema);
  if ("options" in inner && inner.type === "picklist")
    return (inner.options as readonly unknown[]).map(String);
  if (inner.type === "union" && "options" in inner) {
    return (inner.options as readonly GenericSchema[]).flatMap((option) => choicesOf(option));
  }
  return "literal" in inner ? [String(inner.literal)] : [];
}

/** True: a reference may replace the value. */
export function isReferable(schema: GenericSchema): boolean {
  const inner = innerOf(schema);
  return (
    inner.type === "union" && "options" in inner && (inner.options as readonly unknown[]).includes(reference)
  );
}

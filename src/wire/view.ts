// What an answer is made of: a schema in the document, from which its type comes.

import * as v from "valibot";
import { component, exampleOf } from "./component.ts";

/** What answers of that schema are; nobody changes them. */
export type ViewOf<Schema extends v.GenericSchema> = Unchanging<v.InferOutput<Schema>>;

type Unchanging<T> = T extends object ? { readonly [Key in keyof T]: Unchanging<T[Key]> } : T;

export function stringView(description: string) {
  return v.pipe(v.string(), v.description(description));
}

export function textOrNull(description: string) {
  return v.pipe(v.nullable(v.string()), v.description(description));
}

export function texts(description: string) {
  return v.pipe(v.array(v.string()), v.description(description));
}

/** RFC 3339, in UTC. */
export function date(description: string) {
  return v.pipe(v.string(), v.isoTimestamp(), v.description(description));
}

export function dateOrNull(description: string) {
  return v.pipe(v.nullable(v.pipe(v.string(), v.isoTimestamp())), v.description(description));
}

/** Not negative. */
export function count(description: string) {
  return v.pipe(v.number(), v.integer(), v.minValue(0), v.description(description));
}

export function countOrNull(description: string) {
  return v.pipe(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0))), v.description(description));
}

export function word<const Words extends readonly string[]>(description: string, words: Words) {
  return v.pipe(v.picklist(words), v.description(description));
}

/** Of HTTP, in order; a name may be there several times. */
export type HeaderPairs = readonly (readonly [name: string, value: string])[];

export const headerPairs = v.array(v.strictTuple([v.string(), v.string()]));

/** A page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Null: this is the last one. */
  readonly next: string | null;
}

export function pageSchema<const Item extends v.GenericSchema>(item: Item) {
  const entries = {
    items: v.array(item),
    next: textOrNull("`cursor` of the next page; null: this is the last one"),
  };
  return v.strictObject(entries satisfies Record<keyof Page<unknown>, v.GenericSchema>);
}

/** One that the document has by that name; so has it its items. */
export function namedPage<const Item extends v.GenericSchema>(name: string, item: Item) {
  const schema: v.GenericSchema = pageSchema(item);
  component(name, schema, { items: [exampleOf(item)], next: null });
  return schema as ReturnType<typeof pageSchema<Item>>;
}

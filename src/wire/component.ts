// Names schemas for the API's document, each with an example: `components.schemas` is made of them.

import type * as v from "valibot";

export interface Component {
  readonly name: string;
  readonly schema: v.GenericSchema;
  readonly example: unknown;
}

const COMPONENTS = new WeakMap<object, Component>();

/** The schema itself: whoever uses it, in an operation or in another schema, refers to it by its name. */
export function component<const Schema extends v.GenericSchema>(
  name: string,
  schema: Schema,
  example: v.InferInput<Schema>,
): Schema {
  COMPONENTS.set(schema, { name, schema, example });
  return schema;
}

/** Throws where the schema has no name. */
export function componentOf(schema: v.GenericSchema): Component {
  const found = COMPONENTS.get(schema);
  if (found === undefined) throw new Error("A schema of the API has no name");
  return found;
}

/** Of a schema that has a name. */
export function exampleOf<const Schema extends v.GenericSchema>(schema: Schema): v.InferInput<Schema> {
  return componentOf(schema).example;
}

/** Those that the schemas are made of, themselves included. */
export function listComponents(schemas: readonly v.GenericSchema[]): readonly Component[] {
  const seen = new Set<unknown>();
  const found: Component[] = [];
  const visit = (part: unknown): void => {
    if (typeof part !== "object" || part === null || seen.has(part)) return;
    seen.add(part);
    const own = COMPONENTS.get(part);
    if (own !== undefined) found.push(own);
    for (const inner of Object.values(part)) visit(inner);
  };
  visit(schemas);
  return found;
}

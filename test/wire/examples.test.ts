// Every schema that has a name has an example, which is as the schema says.

import { Glob } from "bun";
import { expect, test } from "bun:test";
import * as v from "valibot";
import { type Component, component, componentOf, exampleOf, listComponents } from "#wire/component.ts";

const ROOM = new URL("../../src/wire/", import.meta.url).pathname;

const modules = await Promise.all(
  [...new Glob("*.ts").scanSync(ROOM)].map(async (path) => (await import(ROOM + path)) as object),
);

function isSchema(value: unknown): value is v.GenericSchema {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "schema";
}

const components: readonly Component[] = listComponents(
  modules.flatMap((module) => Object.values(module).filter(isSchema)),
);

test("there are components to check, and each has a name of its own", () => {
  expect(components.length).toBeGreaterThan(30);
  expect(new Set(components.map(({ name }) => name)).size).toBe(components.length);
});

test.each(components.map((one) => [one.name, one] as const))(
  "the example of %s is valid",
  (_name, { schema, example }) => {
    expect(v.safeParse(schema, example).issues).toBeUndefined();
  },
);

test("listComponents() finds those that others are made of, once", () => {
  const inner = component("Inner", v.strictObject({ id: v.string() }), { id: "a" });
  const outer = component("Outer", v.strictObject({ list: v.array(inner), one: v.nullable(inner) }), {
    list: [exampleOf(inner)],
    one: null,
  });
  expect(listComponents([outer]).map(({ name }) => name)).toEqual(["Outer", "Inner"]);
});

test("componentOf() throws for a schema without a name", () => {
  expect(() => componentOf(v.string())).toThrow("has no name");
});

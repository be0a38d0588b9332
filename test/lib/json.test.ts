// Text and JSON of strangers: what is no JSON, what is no object, and what is too long.

import { expect, test } from "bun:test";
import { indentJson, isObject, parseJson, readText } from "#lib/json.ts";

test("parseJson() returns undefined for invalid JSON, and null for null", () => {
  expect([parseJson("{"), parseJson(""), parseJson("null"), parseJson("[1]")]).toEqual([
    undefined,
    undefined,
    null,
    [1],
  ]);
});

test.each([
  [{}, true],
  [[], false],
  [null, false],
  ["{}", false],
])("isObject(%j) is %j", (value, expected) => {
  expect(isObject(value)).toBe(expected);
});

async function* chunksOf(...texts: readonly (string | Uint8Array)[]) {
  for (const text of texts) yield typeof text === "string" ? new TextEncoder().encode(text) : text;
}

test("readText() joins chunks that cut a character in two", async () => {
  const euro = new TextEncoder().encode("€");
  expect(await readText(chunksOf("a ", euro.subarray(0, 1), euro.subarray(1)), 5)).toBe("a €");
  expect(await readText(null, 5)).toBe("");
});

test("readText() stops reading at its limit", async () => {
  let isRead = false;
  async function* endless() {
    yield* chunksOf("123", "456");
    isRead = true;
  }
  const failure = await readText(endless(), 5).catch((error: unknown) => error);
  expect([String(failure), isRead]).toEqual(["Error: the answer is larger than 5 bytes", false]);
});

test.each<[what: string, text: string, indented: string | null]>([
  ["an empty object", "{}", "{}"],
  ["an empty list", "[ ]", "[]"],
  [
    "nested parts and strings with punctuation",
    '{"a":[1,{"b":"x, y: {z}"}],"c":{}}',
    '{\n  "a": [\n    1,\n    {\n      "b": "x, y: {z}"\n    }\n  ],\n  "c": {}\n}',
  ],
  ["a long number", "[12345678901234567890.10]", "[\n  12345678901234567890.10\n]"],
  ["an escaped quote", ' "a \\" b" ', '"a \\" b"'],
  ["no JSON", "no JSON", null],
  ["41 levels", "[".repeat(41) + "]".repeat(41), null],
  ["100,000 levels", "[".repeat(100_000) + "]".repeat(100_000), null],
])("indentJson() changes only the white space of %s, or returns null", (_, text, indented) => {
  expect(indentJson(text)).toBe(indented);
});

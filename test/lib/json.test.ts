// Text and JSON of strangers: what is no JSON, what is no object, and what is too long.

import { expect, test } from "bun:test";
import { isObject, parseJson, readText } from "#lib/json.ts";

test("parseJson() gives undefined for what is no JSON, and null for null", () => {
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

test("readText() joins chunks, also where a character is cut in two", async () => {
  const euro = new TextEncoder().encode("€");
  expect(await readText(chunksOf("a ", euro.subarray(0, 1), euro.subarray(1)), 5)).toBe("a €");
  expect(await readText(null, 5)).toBe("");
});

test("readText() reads no further than its bound", async () => {
  let isRead = false;
  async function* endless() {
    yield* chunksOf("123", "456");
    isRead = true;
  }
  const failure = await readText(endless(), 5).catch((error: unknown) => error);
  expect([String(failure), isRead]).toEqual(["Error: the answer is larger than 5 bytes", false]);
});

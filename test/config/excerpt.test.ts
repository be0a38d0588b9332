// The line below a fault: its form stays, with a mark that still fits, and nothing in it is a secret.

import { expect, test } from "bun:test";
import { toExcerpt } from "#config/excerpt.ts";
import { schemaWords } from "#schema/key-advice.ts";

const words = schemaWords();

test.each([
  ["a secret", '  "password": "hunter2",', 3, '"password": "***",', 1],
  ["a mark behind a secret", '  "password": "hunter2" "x"', 25, '"password": "***" "***"', 19],
  ["a secret without its end", '"password": "hunter2, ', 13, '"password": "***', 13],
  [
    "a quote too few before a secret",
    '"scopes": ["a], "password": "hunter2"',
    1,
    '"scopes": ["***"password"***"***"***',
    1,
  ],
  ["a secret without quotes", "password: hunter2", 1, "password: ***", 1],
  ["a number that may be a secret", '"password": 12345', 1, '"password": ***', 1],
  ["a number that is none", '"readTimeout": 10 "x"', 18, '"readTimeout": 10 "***"', 18],
  ["a word of the schema", '"qos": "AUTO" "x"', 14, '"qos": "AUTO" "***"', 14],
  ["a comment with a secret", '"qos": "AUTO", // hunter2', 16, '"qos": "AUTO", //***', 16],
])("toExcerpt() shows %s", (_, line, column, text, marked) => {
  expect(toExcerpt(line, column, words)).toEqual({ text, column: marked });
});

test("toExcerpt() cuts a long line, and shows nothing of a very long one", () => {
  const line = `{ ${'"qos": "AUTO", '.repeat(60)}"qos" }`;
  const { text, column } = toExcerpt(line, 700, words) ?? { text: "", column: 0 };
  expect(text.length).toBeLessThan(110);
  expect(text[column - 1]).toBe(line[699] ?? "");
  expect(toExcerpt("x".repeat(5000), 1, words)).toBeNull();
  expect(toExcerpt("   ", 1, words)).toBeNull();
});

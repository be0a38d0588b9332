// JSON with places: syntax errors, duplicate keys, and where everything stands.

import { expect, test } from "bun:test";
import { parseJsonText } from "#config/json-text.ts";

test.each([
  ["a text that ends too early", '{\n  "a": 1', "2:9 not valid JSON: the text ends too early"],
  ["an empty text", "", "1:1 the file is empty"],
  ["a comma too many", '{\n  "a": 1,\n}', "2:9 not valid JSON: a trailing comma before a closing bracket"],
  ["a comment", "// hello\n{}", "1:1 not valid JSON: comments are not allowed"],
  [
    "a word that is none, without showing it",
    '{"a": hunter2}',
    "1:7 not valid JSON: found text without quotes, allowed: double quotes around text",
  ],
  [
    "a line break in a string",
    '{"a": "x\ny"}',
    "1:7 a: this string contains a line break, tab or other control character",
  ],
  [
    "a key that stands twice",
    '{"a": 1,\n "b": {"c": 1, "c": 2}}',
    "2:16 b.c: duplicate key, first in line 2",
  ],
  ["nesting without end", "[".repeat(100_000), "1:101 nested deeper than 100 levels"],
])("parseJsonText() reports %s", (_, text, expected) => {
  const lines = parseJsonText(text).issues.map(({ line, column, path, message }) =>
    path === "" ? `${line}:${column} ${message}` : `${line}:${column} ${path}: ${message}`,
  );
  expect(lines).toEqual([expected]);
});

test("parseJsonText() returns the same value as JSON.parse", () => {
  const text = '\uFEFF{"a": [1, -2.5e3, true, null, "\\u00e9\\n"], "b": {}, "c d": {"e": "}"}}';
  const json = parseJsonText(text);
  expect(json.issues).toEqual([]);
  expect(json.value).toEqual(JSON.parse(text.slice(1)));
});

test("parseJsonText() keeps __proto__ as an own key", () => {
  const { value } = parseJsonText('{"__proto__": {"isAdmin": true}}');
  expect(Object.keys(Object(value))).toEqual(["__proto__"]);
  expect(Object(value)).not.toHaveProperty("isAdmin", true);
});

test("locate() finds keys, values, and the innermost existing parent", () => {
  const { locate } = parseJsonText('{\n  "a": [\n    { "b c": 1 }\n  ]\n}');
  expect(locate(["a", 0, "b c"], "value")).toEqual({ line: 3, column: 14 });
  expect(locate(["a", 0, "b c"], "key")).toEqual({ line: 3, column: 7 });
  expect(locate(["a", 0, "missing", "deeper"], "key")).toEqual({ line: 3, column: 5 });
  expect(locate([], "value")).toEqual({ line: 1, column: 1 });
});

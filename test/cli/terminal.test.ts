// What reaches a terminal: nothing that steers it, no more than fits, colours only where somebody looks.

import { expect, test } from "bun:test";
import { clean, cleanLines, toSafeJson } from "#lib/printable.ts";
import { cutTo, paint, toScreen, widthOf } from "#cli/terminal.ts";

test.each([
  ["a plain text", "plain, ünïcödé 日本", "plain, ünïcödé 日本"],
  ["a colour", "\u001b[31mred", "\\u001b[31mred"],
  ["a title", "\u001b]0;owned\u0007", "\\u001b]0;owned\\u0007"],
  ["an 8-bit control sequence", "\u009b2J", "\\u009b2J"],
  ["line breaks and tabs", "one\r\ntwo\tthree", "one\\r\\ntwo\\tthree"],
  ["what turns the direction", "a\u202eb\u2066c\u200fd", "a\\u202eb\\u2066c\\u200fd"],
  ["separators that break lines", "a\u2028b", "a\\u2028b"],
])("clean() shows %s", (_what, text, expected) => {
  expect(clean(text)).toBe(expected);
});

test("cleanLines() keeps line breaks only", () => {
  expect(cleanLines("one\r\n  two\u001b[2J\nthree\rfour")).toBe("one\n  two\\u001b[2J\nthree\\rfour");
});

test("toSafeJson() is JSON of the same value without a control character", () => {
  const value = { "\u009b": ["\u001b[31m", "\u007f", "\u202e", "line\nbreak", "日本"] };
  const text = toSafeJson(value);
  expect(JSON.parse(text)).toEqual(value);
  expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\u202e]/u);
});

test.each([
  ["short", 5, "short"],
  ["longer", 5, "long…"],
  ["日本語", 6, "日本語"],
  ["日本語", 5, "日本…"],
  ["日本語", 4, "日…"],
  ["👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 3, "👩‍👩‍👧‍👦…"],
  ["e\u0301e\u0301e\u0301", 2, "e\u0301…"],
  ["text", 1, "…"],
  ["text", 0, ""],
])("cutTo(%p, %p) is %p", (text, width, expected) => {
  expect(cutTo(text, width)).toBe(expected);
  expect(widthOf(cutTo(text, width))).toBeLessThanOrEqual(width);
});

test.each([
  [{}, {}, { width: null, isColoured: false }],
  [{ isTTY: true, columns: 120 }, {}, { width: 120, isColoured: true }],
  [{ isTTY: true }, {}, { width: 80, isColoured: true }],
  [{ isTTY: true, columns: 0 }, {}, { width: 80, isColoured: true }],
  [{ isTTY: true, columns: 3 }, {}, { width: 20, isColoured: true }],
  [{ isTTY: true, columns: 80 }, { NO_COLOR: "1" }, { width: 80, isColoured: false }],
  [{ isTTY: true, columns: 80 }, { NO_COLOR: "" }, { width: 80, isColoured: true }],
  [{ isTTY: true, columns: 80 }, { TERM: "dumb" }, { width: 80, isColoured: false }],
])("toScreen(%p, %p) is %p", (stream, env, expected) => {
  expect(toScreen(stream, env)).toEqual(expected);
});

test("paint() paints only where colours are wanted", () => {
  expect(paint({ width: 80, isColoured: true }, "red", "x")).toBe("\u001b[31mx\u001b[39m");
  expect(paint({ width: 80, isColoured: false }, "red", "x")).toBe("x");
});

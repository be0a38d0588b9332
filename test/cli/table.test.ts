// Tables: aligned by what is seen, cut to the terminal, and nothing in a cell that could do anything.

import { expect, test } from "bun:test";
import { type Column, formatTable } from "#cli/table.ts";
import type { Screen } from "#cli/terminal.ts";

interface Row {
  readonly name: string;
  readonly count: number;
  readonly note: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: "NAME", textOf: ({ name }) => name, styleOf: () => "red" },
  { title: "COUNT", textOf: ({ count }) => String(count), isNumber: true },
  { title: "NOTE", textOf: ({ note }) => note },
];
const PLAIN: Screen = { width: null, isColoured: false };

const format = (rows: readonly Row[], screen: Screen = PLAIN) =>
  formatTable(rows, { columns: COLUMNS, screen }).split("\n");

test("formatTable() aligns texts to the left and numbers to the right, by their width on the screen", () => {
  const rows = [
    { name: "日本", count: 7, note: "x".repeat(200) },
    { name: "billing", count: 1234567, note: "" },
  ];
  expect(format(rows)).toEqual([
    "NAME       COUNT  NOTE",
    `日本           7  ${"x".repeat(200)}`,
    "billing  1234567",
    "",
  ]);
});

test("formatTable() leaves out a column in which nothing stands", () => {
  expect(format([{ name: "a", count: 1, note: "" }])).toEqual(["NAME  COUNT", "a         1", ""]);
});

test("formatTable() cuts lines to the width of a terminal", () => {
  const rows = [{ name: "日本", count: 7, note: "a long reason" }];
  expect(format(rows, { width: 20, isColoured: false })).toEqual([
    "NAME  COUNT  NOTE",
    "日本      7  a long…",
    "",
  ]);
  expect(format(rows, { width: 3, isColoured: false })).toEqual(["NA…", "日…", ""]);
});

test("formatTable() ends every colour, also of what it cuts", () => {
  const [titles, line] = format([{ name: "a long name", count: 1, note: "" }], {
    width: 6,
    isColoured: true,
  });
  expect(titles).toBe("\u001b[2mNAME …\u001b[22m");
  expect(line).toBe("\u001b[31ma lon…\u001b[39m");
});

test("formatTable() shows what a hostile cell holds, and does nothing of it", () => {
  const [, line, end] = format([{ name: "\u001b[2Jx\ny", count: 1, note: "\u009b31m\u202e" }]);
  expect(line).toBe("\\u001b[2Jx\\ny      1  \\u009b31m\\u202e");
  expect(end).toBe("");
});

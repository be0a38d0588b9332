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

test("formatTable() writes below the row what has no room beside it, with the name of its column", () => {
  const rows = [{ name: "日本", count: 7, note: "a long reason" }];
  expect(format(rows, { width: 20, isColoured: false })).toEqual([
    "NAME  COUNT",
    "日本      7",
    "    note: a long",
    "    reason",
    "",
  ]);
  expect(format(rows, { width: 3, isColoured: false })).toEqual([
    "NAME",
    "日本",
    "    count",
    "    7,",
    "    note:",
    "    a",
    "    long",
    "    reason",
    "",
  ]);
});

test("formatTable() shortens the widest texts, and all that stands beside them is still there", () => {
  const rows = [
    { name: "n".repeat(60), count: 7, note: "consuming" },
    { name: "日本".repeat(20), count: 8, note: "o".repeat(30) },
  ];
  const [, first = "", second = ""] = format(rows, { width: 60, isColoured: false });
  expect(first).toBe(`${"n".repeat(24)}…      7  consuming`);
  expect(second).toBe(`${"日本".repeat(6)}…      8  ${"o".repeat(24)}…`);
  expect([first, second].map((line) => Bun.stringWidth(line) <= 60)).toEqual([true, true]);
});

test("formatTable() leaves whole what somebody will copy", () => {
  const columns = [{ ...COLUMNS[0], isWhole: true } as Column<Row>, ...COLUMNS.slice(1)];
  const rows = [{ name: "i".repeat(40), count: 1, note: "w".repeat(50) }];
  const [, line] = formatTable(rows, { columns, screen: { width: 70, isColoured: false } }).split("\n");
  expect(line).toBe(`${"i".repeat(40)}      1  ${"w".repeat(20)}…`);
  const narrow = formatTable(rows, { columns, screen: { width: 30, isColoured: false } }).split("\n");
  expect(narrow).toEqual(["NAME", "i".repeat(40), "    count 1, note:", `    ${"w".repeat(50)}`, ""]);
});

test("formatTable() ends every colour, also of what it cuts", () => {
  const [titles, line] = format([{ name: "a very long name", count: 1, note: "" }], {
    width: 19,
    isColoured: true,
  });
  expect(titles).toBe("\u001b[2mNAME        \u001b[22m  \u001b[2mCOUNT\u001b[22m");
  expect(line).toBe("\u001b[31ma very long…\u001b[39m      1");
});

test("formatTable() shows what a hostile cell holds, and does nothing of it", () => {
  const [, line, end] = format([{ name: "\u001b[2Jx\ny", count: 1, note: "\u009b31m\u202e" }]);
  expect(line).toBe("\\u001b[2Jx\\ny      1  \\u009b31m\\u202e");
  expect(end).toBe("");
});

test("formatTable() drops columns of zeros first, then optional ones from the right, and texts shrink in between", () => {
  const columns: readonly Column<Row>[] = [
    { title: "NAME", textOf: ({ name }) => name, isWhole: true },
    { title: "ZERO", textOf: () => "0", isNumber: true },
    { title: "COUNT", textOf: ({ count }) => String(count), isNumber: true },
    { title: "URL", textOf: () => "u".repeat(20), isOptional: true },
    { title: "KIND", textOf: () => "kind", isOptional: true },
  ];
  const rows = [{ name: "billing", count: 7, note: "" }];
  const titlesAt = (width: number) => {
    const [titles = ""] = formatTable(rows, { columns, screen: { width, isColoured: false } }).split("\n");
    return titles.split(/ +/u).join(" ");
  };
  expect(titlesAt(200)).toBe("NAME ZERO COUNT URL KIND");
  expect(titlesAt(45)).toBe("NAME COUNT URL KIND");
  expect(titlesAt(34)).toBe("NAME COUNT URL KIND");
  expect(titlesAt(31)).toBe("NAME COUNT URL");
  expect(titlesAt(20)).toBe("NAME COUNT");
});

test("formatTable() writes a note below its row, whole, on as many lines as it needs", () => {
  const rows = [
    { name: "a", count: 1, note: "one two three four" },
    { name: "b", count: 2, note: "" },
  ];
  const text = formatTable(rows, {
    columns: COLUMNS.slice(0, 2),
    screen: { width: 20, isColoured: false },
    noteOf: ({ note }) => (note === "" ? null : { text: note, style: "red" }),
  });
  expect(text).toBe("NAME  COUNT\na         1\n    one two three\n    four\nb         2\n");
});

// Formats rows as aligned columns that fit the terminal.
//
// Where they are too wide, columns of zeros go first, then the widest texts shrink, then optional columns go. What is wider
// still stands below its row, with the name of its column; the columns up to the last whole one stay, and the terminal wraps them.

import { clean } from "#lib/printable.ts";
import { cutTo, paint, type Screen, type Style, widthOf } from "./terminal.ts";

export interface Column<T> {
  readonly title: string;
  readonly textOf: (row: T) => string;
  /** Numbers stand to the right, and are never cut short. */
  readonly isNumber?: boolean;
  /** Not cut short either: somebody will copy it. */
  readonly isWhole?: boolean;
  /** It goes where the terminal is too narrow for all, the last one first. */
  readonly isOptional?: boolean;
  readonly styleOf?: (row: T) => Style;
}

interface Note {
  readonly text: string;
  /** Null: as it is. */
  readonly style: Style | null;
}

interface Filled<T> {
  readonly column: Column<T>;
  readonly texts: readonly string[];
  /** In columns of the terminal. */
  readonly width: number;
}

interface Cell {
  readonly text: string;
  readonly style: Style | null;
}

const GAP = "  ";
const INDENT = "    ";
/** What a text keeps at least: any state is shown whole. */
const MIN_TEXT_WIDTH = 12;

interface TableOptions<T> {
  readonly columns: readonly Column<T>[];
  readonly screen: Screen;
  /** Stands below the row, whole; null: nothing does. */
  readonly noteOf?: (row: T) => Note | null;
}

/** A line of titles, and one for each row; a column in which nothing stands is left out. */
export function formatTable<T>(rows: readonly T[], { columns, screen, noteOf }: TableOptions<T>): string {
  const width = screen.width ?? Infinity;
  const all = dropColumns(fill(rows, columns), width);
  const filled = all.slice(0, countFitting(all, width));
  const below = all.slice(filled.length);
  const widths = shrink(filled, width);
  const pad = (text: string, index: number) => {
    const width = widths[index] ?? 0;
    const cut = cutTo(text, width);
    const space = " ".repeat(width - widthOf(cut));
    if (filled[index]?.column.isNumber === true) return space + cut;
    return index === filled.length - 1 ? cut : cut + space;
  };
  const titles = filled.map(({ column }, index): Cell => ({ text: pad(column.title, index), style: "dim" }));
  const toRow = (cells: readonly Cell[]) => `${toLine(cells, screen)}\n`;
  const written = rows.map((row, at) => {
    const cells = filled.map(({ column, texts }, index): Cell => {
      return { text: pad(texts[at] ?? "", index), style: column.styleOf?.(row) ?? null };
    });
    return [toRow(cells), toNote(listBelow(below, at), screen), toNote(noteOf?.(row) ?? null, screen)].join(
      "",
    );
  });
  return [toRow(titles), ...written].join("");
}

/** How many columns have room; the first one and whole ones stay where they are: the terminal wraps them. */
function countFitting<T>(filled: readonly Filled<T>[], width: number): number {
  const least = Math.max(1, filled.findLastIndex(({ column }) => column.isWhole === true) + 1);
  let count = filled.length;
  while (count > least && totalOf(shrink(filled.slice(0, count), width)) > width) count -= 1;
  return count;
}

/** `status 422, error: …`; null: nothing is left. */
function listBelow<T>(below: readonly Filled<T>[], at: number): Note | null {
  const parts = below.flatMap(({ column: { title, isNumber }, texts }) => {
    const text = texts[at] ?? "";
    if (text === "") return [];
    return [isNumber === true ? `${title.toLowerCase()} ${text}` : `${title.toLowerCase()}: ${text}`];
  });
  return parts.length === 0 ? null : { text: parts.join(", "), style: null };
}

function fill<T>(rows: readonly T[], columns: readonly Column<T>[]): readonly Filled<T>[] {
  return columns
    .map((column) => {
      const texts = rows.map((row) => clean(column.textOf(row)));
      const width = texts.reduce((widest, text) => Math.max(widest, widthOf(text)), widthOf(column.title));
      return { column, texts, width };
    })
    .filter(({ texts }) => texts.some((text) => text !== ""));
}

/** Only as far as it must. */
function dropColumns<T>(filled: readonly Filled<T>[], width: number): readonly Filled<T>[] {
  if (totalOf(filled.map((own) => own.width)) <= width) return filled;
  let kept = filled.filter(
    ({ column, texts }) => column.isNumber !== true || texts.some((text) => text !== "0" && text !== ""),
  );
  while (totalOf(shrink(kept, width)) > width) {
    const last = kept.findLast(({ column }) => column.isOptional === true);
    if (last === undefined) break;
    kept = kept.filter((own) => own !== last);
  }
  return kept;
}

/** The widest give way first, and alike. */
function shrink<T>(filled: readonly Filled<T>[], width: number): readonly number[] {
  const toWidths = (limit: number) =>
    filled.map(({ column: { isNumber, isWhole }, width: own }) =>
      isNumber === true || isWhole === true ? own : Math.min(own, limit),
    );
  const fits = (limit: number) => totalOf(toWidths(limit)) <= width;
  let limit = Math.max(...filled.map((own) => own.width), MIN_TEXT_WIDTH);
  if (fits(limit)) return toWidths(limit);
  limit = Math.min(limit, Math.max(width, MIN_TEXT_WIDTH));
  while (limit > MIN_TEXT_WIDTH && !fits(limit)) limit -= 1;
  return toWidths(limit);
}

function totalOf(widths: readonly number[]): number {
  return widths.reduce((sum, own) => sum + own + GAP.length, -GAP.length);
}

function toNote(note: Note | null, screen: Screen): string {
  if (note === null) return "";
  const { text, style } = note;
  const lines = wrap(clean(text), (screen.width ?? Infinity) - INDENT.length);
  const toPainted = (line: string) => (style === null ? line : paint(screen, style, line));
  return lines.map((line) => `${INDENT}${toPainted(line)}\n`).join("");
}

/** Breaks lines at spaces where it can. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && widthOf(longer) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}

function toLine(cells: readonly Cell[], screen: Screen): string {
  const texts = cells.map(({ text, style }) => (style === null ? text : paint(screen, style, text)));
  return texts.join(GAP).trimEnd();
}

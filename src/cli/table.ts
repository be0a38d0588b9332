// Rows to aligned columns, cut to the width of a terminal.

import { clean, cutTo, paint, type Screen, type Style, widthOf } from "./terminal.ts";

export interface Column<T> {
  readonly title: string;
  readonly textOf: (row: T) => string;
  /** Numbers stand to the right. */
  readonly isNumber?: boolean;
  readonly styleOf?: (row: T) => Style;
}

interface Cell {
  readonly text: string;
  readonly style: Style | null;
}

const GAP = "  ";

/** A line of titles, and one for each row; a column in which nothing stands is left out. */
export function formatTable<T>(
  rows: readonly T[],
  { columns, screen }: { columns: readonly Column<T>[]; screen: Screen },
): string {
  const filled = columns
    .map((column) => ({ column, texts: rows.map((row) => clean(column.textOf(row))) }))
    .filter(({ texts }) => texts.some((text) => text !== ""));
  const widths = filled.map(({ column, texts }) => Math.max(...[column.title, ...texts].map(widthOf)));
  const pad = (text: string, index: number) => {
    const space = " ".repeat((widths[index] ?? 0) - widthOf(text));
    if (filled[index]?.column.isNumber === true) return space + text;
    return index === filled.length - 1 ? text : text + space;
  };
  const titles = filled.map(({ column }, index): Cell => ({ text: pad(column.title, index), style: "dim" }));
  const lines = rows.map((row, at) =>
    filled.map(({ column, texts }, index): Cell => {
      return { text: pad(texts[at] ?? "", index), style: column.styleOf?.(row) ?? null };
    }),
  );
  return [titles, ...lines].map((cells) => `${toLine(cells, screen)}\n`).join("");
}

/** What does not fit is cut before it is painted, for a colour that is cut off never ends. */
function toLine(cells: readonly Cell[], screen: Screen): string {
  let line = "";
  let left = screen.width ?? Infinity;
  for (const [index, { text, style }] of cells.entries()) {
    const gap = index === 0 ? "" : GAP;
    if (left <= gap.length) break;
    const cut = cutTo(text, left - gap.length);
    line += gap + (style === null ? cut : paint(screen, style, cut));
    left -= gap.length + widthOf(cut);
  }
  return line.trimEnd();
}

// Formats rows as aligned columns. The widest columns shrink to fit the terminal, and a longer line is cut.

import { clean } from "#lib/printable.ts";
import { cutTo, paint, type Screen, type Style, widthOf } from "./terminal.ts";

export interface Column<T> {
  readonly title: string;
  readonly textOf: (row: T) => string;
  /** Numbers stand to the right, and are never cut short. */
  readonly isNumber?: boolean;
  /** Not cut short either: somebody will copy it. */
  readonly isWhole?: boolean;
  readonly styleOf?: (row: T) => Style;
}

interface Cell {
  readonly text: string;
  readonly style: Style | null;
}

const GAP = "  ";
/** What a text keeps at least: any state is shown whole. */
const MIN_TEXT_WIDTH = 12;

/** A line of titles, and one for each row; a column in which nothing stands is left out. */
export function formatTable<T>(
  rows: readonly T[],
  { columns, screen }: { columns: readonly Column<T>[]; screen: Screen },
): string {
  const filled = columns
    .map((column) => ({ column, texts: rows.map((row) => clean(column.textOf(row))) }))
    .filter(({ texts }) => texts.some((text) => text !== ""));
  const wanted = filled.map(({ column, texts }) =>
    texts.reduce((width, text) => Math.max(width, widthOf(text)), widthOf(column.title)),
  );
  const canShrink = filled.map(({ column: { isNumber, isWhole } }) => isNumber !== true && isWhole !== true);
  const widths = shrink(wanted, { canShrink, width: screen.width ?? Infinity });
  const pad = (text: string, index: number) => {
    const width = widths[index] ?? 0;
    const cut = cutTo(text, width);
    const space = " ".repeat(width - widthOf(cut));
    if (filled[index]?.column.isNumber === true) return space + cut;
    return index === filled.length - 1 ? cut : cut + space;
  };
  const titles = filled.map(({ column }, index): Cell => ({ text: pad(column.title, index), style: "dim" }));
  const lines = rows.map((row, at) =>
    filled.map(({ column, texts }, index): Cell => {
      return { text: pad(texts[at] ?? "", index), style: column.styleOf?.(row) ?? null };
    }),
  );
  return [titles, ...lines].map((cells) => `${toLine(cells, screen)}\n`).join("");
}

/** The widest give way first, and alike. */
function shrink(
  wanted: readonly number[],
  { canShrink, width }: { canShrink: readonly boolean[]; width: number },
): readonly number[] {
  const toWidths = (limit: number) =>
    wanted.map((own, index) => (canShrink[index] === true ? Math.min(own, limit) : own));
  const fits = (limit: number) =>
    toWidths(limit).reduce((sum, own) => sum + own + GAP.length, -GAP.length) <= width;
  let limit = Math.max(...wanted, MIN_TEXT_WIDTH);
  if (fits(limit)) return wanted;
  limit = Math.min(limit, Math.max(width, MIN_TEXT_WIDTH));
  while (limit > MIN_TEXT_WIDTH && !fits(limit)) limit -= 1;
  return toWidths(limit);
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

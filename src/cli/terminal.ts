// Colours and widths of text, for terminals only.

import { styleText } from "node:util";

export interface Screen {
  /** In columns; null: it is no terminal, and nothing is cut. */
  readonly width: number | null;
  readonly isColoured: boolean;
}

export type Style = "red" | "green" | "yellow" | "dim" | "bold";

const MIN_WIDTH = 20;
/** Where a terminal does not know its own: a serial console says 0. */
const DEFAULT_WIDTH = 80;
const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

export function toScreen(
  { isTTY, columns = 0 }: { isTTY?: boolean; columns?: number },
  env: Readonly<Record<string, string | undefined>>,
): Screen {
  if (isTTY !== true) return { width: null, isColoured: false };
  const isColoured = (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  return { width: Math.max(columns === 0 ? DEFAULT_WIDTH : columns, MIN_WIDTH), isColoured };
}

/** In columns: wide characters take two. */
export function widthOf(text: string): number {
  return Bun.stringWidth(text);
}

/** The text, or as much of it as fits with a `…` at its end. */
export function cutTo(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let cut = "";
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    const added = widthOf(segment);
    if (used + added > width - 1) break;
    cut += segment;
    used += added;
  }
  return width < 1 ? "" : `${cut}…`;
}

export function paint({ isColoured }: Screen, style: Style, text: string): string {
  return isColoured ? styleText(style, text, { validateStream: false }) : text;
}

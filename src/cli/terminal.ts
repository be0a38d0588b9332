// What may reach a terminal: texts of others without control over it, colours and widths only where somebody looks.

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
/** Control characters, and what turns the direction of a line or breaks it. */
const HOSTILE = /[\p{Cc}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/gu;
const SHORT_ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

export function toScreen(
  { isTTY, columns = 0 }: { isTTY?: boolean; columns?: number },
  env: Readonly<Record<string, string | undefined>>,
): Screen {
  if (isTTY !== true) return { width: null, isColoured: false };
  const isColoured = (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  return { width: Math.max(columns === 0 ? DEFAULT_WIDTH : columns, MIN_WIDTH), isColoured };
}

/** One line, whatever it holds: it ends no line, colours nothing and moves no cursor. */
export function clean(text: string): string {
  return text.replaceAll(HOSTILE, (character) => SHORT_ESCAPES[character] ?? toUnicodeEscape(character));
}

/** As `clean`, but its line breaks stay. */
export function cleanLines(text: string): string {
  return text.split(/\r?\n/u).map(clean).join("\n");
}

/** JSON that a terminal takes for nothing else: `JSON.stringify` leaves some control characters as they are. */
export function toSafeJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  return `${text.replaceAll(HOSTILE, (character) => (character === "\n" ? "\n" : toUnicodeEscape(character)))}\n`;
}

/** As `toSafeJson`, on one line. */
export function toSafeLine(value: unknown): string {
  return `${JSON.stringify(value).replaceAll(HOSTILE, toUnicodeEscape)}\n`;
}

function toUnicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
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

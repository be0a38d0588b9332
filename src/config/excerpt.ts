// Shows the faulty line of a config without secrets: punctuation, and words that the schema knows.

import type { Excerpt } from "#schema/issue.ts";
import type { Words } from "#schema/key-advice.ts";

const MAX_LINE = 2000;
const MAX_WIDTH = 100;
const HIDDEN = "***";
/** Comments, strings (terminated or not) and words. The text between them is punctuation, and shown. */
const PARTS =
  /\/\/.*|\/\*.*?(?:\*\/|$)|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[“„][^”]*”?|\$\{\w*\}|[^\s{}[\],:;="'“”„]+/gu;
const QUOTES = /^["'“„](.*)["'”]$/u;

/** `column` counts from 1. null: the line is blank, or longer than `MAX_LINE`. */
export function toExcerpt(line: string, column: number, words: Words): Excerpt | null {
  if (line.trim() === "" || line.length > MAX_LINE) return null;
  let text = "";
  let end = 0;
  let key = "";
  let marked = column;
  const add = (shown: string, at: number, length: number) => {
    if (column - 1 >= at && column - 1 < at + length) marked = text.length + 1;
    text += shown;
  };
  for (const { 0: part, index } of line.matchAll(PARTS)) {
    addBetween(index);
    const isKey = /^\s*[:=]/u.test(line.slice(index + part.length));
    const isShown = words.known.has(part.replace(QUOTES, "$1")) || isPlain(part, isKey);
    add(isShown ? part : hide(part), index, part.length);
    key = isKey ? part.replace(QUOTES, "$1") : "";
    end = index + part.length;
  }
  addBetween(line.length);
  if (column - 1 >= line.length) marked = text.length + 1;
  return crop(text.trimEnd(), marked);

  function addBetween(until: number): void {
    for (let at = end; at < until; at += 1) add(line[at] === "\t" ? " " : (line[at] ?? ""), at, 1);
    end = until;
  }

  /** True for the name of a variable, and for a number or flag of a key whose values are no secrets. */
  function isPlain(part: string, isKey: boolean): boolean {
    if (/^\$\{\w*\}$/u.test(part)) return true;
    return !isKey && words.units.has(key) && /^(?:-?\d{1,16}[a-z]{0,3}|true|false|null)$/iu.test(part);
  }
}

function hide(part: string): string {
  if (/^\/[/*]/u.test(part)) return `${part.slice(0, 2)}${HIDDEN}`;
  const quote = /^["']/u.exec(part)?.[0] ?? "";
  const isClosed = quote !== "" && part.length > 1 && part.endsWith(quote);
  return `${quote}${HIDDEN}${isClosed ? quote : ""}`;
}

/** Cuts the text to `MAX_WIDTH` characters around the column. */
function crop(text: string, column: number): Excerpt {
  const indent = text.length - text.trimStart().length;
  const start = Math.max(Math.min(indent, column - 1), column - 1 - MAX_WIDTH / 2);
  const isCut = start > indent;
  const shown = text.slice(start, start + MAX_WIDTH);
  return { text: isCut ? `…${shown}` : shown, column: column - start + (isCut ? 1 : 0) };
}

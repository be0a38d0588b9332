// Shows the faulty line of a config without secrets: its form, and words of the schema.

import type { Excerpt } from "./issue.ts";

/** Words of a text that are no secret. */
export interface Words {
  /** Keys, and words that are values of them. */
  readonly known: ReadonlySet<string>;
  /** Keys of numbers and flags, with what they count; null: nothing. */
  readonly units: ReadonlyMap<string, string | null>;
}

const MAX_LINE = 2000;
const MAX_WIDTH = 100;
const HIDDEN = "***";
/** Comments, strings, whether they end or not, and words; what is between them is shown. */
const PARTS =
  /\/\/.*|\/\*.*?(?:\*\/|$)|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[“„][^”]*”?|\$\{\w*\}|[^\s{}[\],:;="'“”„]+/gu;
const QUOTES = /^["'“„](.*)["'”]$/u;

/** `column`: 1 is the first. null: there is nothing to show, or the line is too long to be told apart. */
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

  /** The name of a variable, or a number of a key that has no secret ones. */
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

/** As much around the column as fits. */
function crop(text: string, column: number): Excerpt {
  const indent = text.length - text.trimStart().length;
  const start = Math.max(Math.min(indent, column - 1), column - 1 - MAX_WIDTH / 2);
  const isCut = start > indent;
  const shown = text.slice(start, start + MAX_WIDTH);
  return { text: isCut ? `…${shown}` : shown, column: column - start + (isCut ? 1 : 0) };
}

// Parses JSON with positions: the value, the position of each part, and every duplicate key.

import { parse, type ValueNode } from "@humanwhocodes/momoa";
import { formatPath, type Issue, type Path } from "#schema/issue.ts";
import type { Words } from "#schema/key-advice.ts";
import { toExcerpt } from "./excerpt.ts";
import { findSyntaxFaults } from "./syntax-fault.ts";

export interface JsonText {
  readonly value: unknown;
  /** Syntax errors and duplicate keys. After a syntax error there is no value. */
  readonly issues: readonly Issue[];
  readonly hasValue: boolean;
  /** The position of the key or value at `path`, or of the innermost parent that exists. */
  readonly locate: (path: Path, what: "key" | "value") => Place;
}

const NO_WORDS: Words = { known: new Set(), units: new Map() };

interface Place {
  readonly line: number;
  readonly column: number;
}

const MAX_DEPTH = 100;
/** Twice the number in ten thousand subscriptions with all settings; each value costs half a kilobyte of memory. */
const MAX_VALUES = 500_000;
const START: Place = { line: 1, column: 1 };

interface Places {
  readonly key: Place;
  readonly value: Place;
}

/** `wordsOf`: the words that an excerpt of invalid JSON may show. */
export function parseJsonText(text: string, wordsOf: () => Words = () => NO_WORDS): JsonText {
  const source = text.startsWith("\uFEFF") ? ` ${text.slice(1)}` : text;
  const excess = findExcess(source);
  if (excess !== null) return toFailure([toIssue(placeAt(source, excess.offset), excess)]);
  try {
    return read(parse(source, { mode: "json" }).body, source);
  } catch (error) {
    return toFailure(describeSyntaxError(error, { source, words: wordsOf() }));
  }
}

function toFailure(issues: readonly Issue[]): JsonText {
  const [{ line, column } = START] = issues;
  return { value: undefined, issues, hasValue: false, locate: () => ({ line, column }) };
}

function toIssue(
  place: Place,
  {
    message,
    path = "",
    suggestion = null,
    excerpt = null,
  }: Partial<Pick<Issue, "path" | "suggestion" | "excerpt">> & Pick<Issue, "message">,
): Issue {
  return { ...place, path, message, suggestion, excerpt };
}

function read(body: ValueNode, source: string): JsonText {
  const places = new Map<string, Places>();
  const issues: Issue[] = [];

  function toValue(node: ValueNode, path: Path): unknown {
    switch (node.type) {
      case "Object": {
        const entries = new Map<string, unknown>();
        for (const member of node.members) {
          const key = member.name.type === "String" ? member.name.value : member.name.name;
          const inner = [...path, key];
          const at = formatPath(inner);
          const place = toPlace(member.name.loc.start);
          const first = places.get(at)?.key.line;
          if (first !== undefined) {
            const message = `duplicate key, first in line ${first}`;
            issues.push(toIssue(place, { path: at, message, suggestion: "delete one of them" }));
          }
          refuseControlCharacters(member.name.loc, inner);
          places.set(at, { key: place, value: toPlace(member.value.loc.start) });
          entries.set(key, toValue(member.value, inner));
        }
        return toObject(entries);
      }
      case "Array":
        return node.elements.map((element, index) => {
          const inner = [...path, index];
          const place = toPlace(element.value.loc.start);
          places.set(formatPath(inner), { key: place, value: place });
          return toValue(element.value, inner);
        });
      case "String":
        refuseControlCharacters(node.loc, path);
        return node.value;
      case "Null":
        return null;
      case "Number":
      case "Boolean":
        return node.value;
      case "NaN":
      case "Infinity":
        throw new TypeError(`JSON has no ${node.type}`);
    }
  }

  /** The parser accepts control characters inside a string; JSON does not. */
  function refuseControlCharacters(
    { start, end }: { start: Place & { offset: number }; end: { offset: number } },
    path: Path,
  ): void {
    if (!/\p{Cc}/u.test(source.slice(start.offset, end.offset).replaceAll("\u007F", ""))) return;
    const message = "this string contains a line break, tab or other control character";
    const suggestion = String.raw`write \n, \t or \u0000`;
    issues.push(toIssue(toPlace(start), { path: formatPath(path), message, suggestion }));
  }

  places.set("", { key: toPlace(body.loc.start), value: toPlace(body.loc.start) });
  const value = toValue(body, []);
  const locate = (path: Path, what: "key" | "value"): Place => {
    for (let length = path.length; length >= 0; length -= 1) {
      const found = places.get(formatPath(path.slice(0, length)));
      if (found !== undefined) return length === path.length ? found[what] : found.value;
    }
    return START;
  };
  return { value, issues, hasValue: true, locate };
}

/** Makes own properties only: `__proto__` is a key like any other. */
function toObject(entries: ReadonlyMap<string, unknown>): object {
  return Object.fromEntries(entries);
}

function toPlace({ line, column }: Place): Place {
  return { line, column };
}

/** Replaces the parser's message, which may quote a secret of the text. */
function describeSyntaxError(
  error: unknown,
  { source, words }: { source: string; words: Words },
): readonly Issue[] {
  const faults = findSyntaxFaults(source, words);
  if (faults.length === 0) return [toIssue(placeOf(error), { message: "not valid JSON: unexpected text" })];
  return faults.map(({ offset, problem, suggestion }) => {
    const place = placeAt(source, offset);
    const line = source.split("\n", place.line)[place.line - 1] ?? "";
    const excerpt = toExcerpt(line, place.column, words);
    return toIssue(place, { message: problem, suggestion, excerpt });
  });
}

function placeOf(error: unknown): Place {
  if (!(error instanceof Error) || !("line" in error) || !("column" in error)) return START;
  return { line: Number(error.line), column: Number(error.column) };
}

/** Finds where the text nests deeper than a recursive reader can follow, or has more values than memory allows. */
function findExcess(source: string): { readonly offset: number; readonly message: string } | null {
  let depth = 0;
  let values = 1;
  for (const match of source.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},]/gsu)) {
    const [token] = match;
    if (token === ",") values += 1;
    if (values > MAX_VALUES) return { offset: match.index, message: `more than ${MAX_VALUES} values` };
    if (token === "{" || token === "[") depth += 1;
    else if (token === "}" || token === "]") depth -= 1;
    if (depth > MAX_DEPTH) return { offset: match.index, message: `nested deeper than ${MAX_DEPTH} levels` };
  }
  return null;
}

function placeAt(source: string, offset: number): Place {
  const lines = source.slice(0, offset).split("\n");
  return { line: lines.length, column: (lines.at(-1) ?? "").length + 1 };
}

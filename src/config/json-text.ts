// JSON with places: the value, where each part of it stands, and every duplicate key.

import { parse, type ValueNode } from "@humanwhocodes/momoa";
import { formatPath, type Issue, type Path } from "./issue.ts";

export interface JsonText {
  readonly value: unknown;
  /** Syntax errors and duplicate keys. With a syntax error there is no value. */
  readonly issues: readonly Issue[];
  readonly hasValue: boolean;
  /** The place of what stands at `path`, or of the innermost part of the path that is there. */
  readonly locate: (path: Path, what: "key" | "value") => Place;
}

interface Place {
  readonly line: number;
  readonly column: number;
}

const MAX_DEPTH = 100;
/** Twice what ten thousand subscriptions with all settings have; each costs half a kilobyte of memory. */
const MAX_VALUES = 500_000;
const START: Place = { line: 1, column: 1 };

interface Places {
  readonly key: Place;
  readonly value: Place;
}

export function parseJsonText(text: string): JsonText {
  const source = text.startsWith("\uFEFF") ? ` ${text.slice(1)}` : text;
  const excess = findExcess(source);
  if (excess !== null) return toFailure(excess.message, placeAt(source, excess.offset));
  try {
    return read(parse(source, { mode: "json" }).body, source);
  } catch (error) {
    return toFailure(...describeSyntaxError(error));
  }
}

function toFailure(message: string, place: Place): JsonText {
  const issue: Issue = { ...place, path: "", message };
  return { value: undefined, issues: [issue], hasValue: false, locate: () => place };
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
          if (entries.has(key)) issues.push({ ...place, path: at, message: "this key stands here twice" });
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

  /** The parser takes a line break inside a string; JSON does not. */
  function refuseControlCharacters(
    { start, end }: { start: Place & { offset: number }; end: { offset: number } },
    path: Path,
  ): void {
    if (!/\p{Cc}/u.test(source.slice(start.offset, end.offset).replaceAll("\u007F", ""))) return;
    const message =
      "a line break, tab or other control character stands in this string: write \\n, \\t or \\u0000";
    issues.push({ ...toPlace(start), path: formatPath(path), message });
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

/** Own properties only, whatever their names are: `__proto__` is a key like any other. */
function toObject(entries: ReadonlyMap<string, unknown>): object {
  return Object.fromEntries(entries);
}

function toPlace({ line, column }: Place): Place {
  return { line, column };
}

/** The parser's own message may hold a piece of the text, which may be a secret. */
function describeSyntaxError(error: unknown): readonly [message: string, place: Place] {
  if (!(error instanceof Error) || !("line" in error) || !("column" in error))
    return ["not readable as JSON", START];
  const place = { line: Number(error.line), column: Number(error.column) };
  if (error.message.startsWith("Unexpected end")) return ["not valid JSON: the text ends too early", place];
  if (error.message.startsWith("Unexpected character '/'"))
    return ["not valid JSON: comments are not allowed", place];
  const hint = /^Unexpected token R(?:Brace|Bracket) /u.test(error.message)
    ? ", probably after a comma too many"
    : "";
  return [`not valid JSON: unexpected text${hint}`, place];
}

/** Where the nesting gets too deep for a recursive reader, or there are more values than memory is to be spent on. */
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

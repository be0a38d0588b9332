// Explains why a text is not JSON: every deviation, each with its position and what to write instead.

import type { Words } from "#schema/key-advice.ts";
import { toNumber } from "#schema/value-advice.ts";
import {
  CLOSING,
  createBracketMatcher,
  createLineCursor,
  type Frame,
  lineOf,
  type SyntaxFault,
} from "./bracket-match.ts";

type Kind = keyof typeof PROBLEMS;

const PROBLEMS = {
  comma: "a comma is missing here",
  trailing: "a trailing comma before a closing bracket",
  commas: "a comma too many",
  colon: "a colon is missing between key and value",
  equals: "found =, allowed: a colon between key and value",
  semicolon: "found ;, allowed: a comma",
  comment: "comments are not allowed",
  singleQuotes: "found single quotes, allowed: double quotes",
  otherQuotes: "found typographic quotes, allowed: plain double quotes",
  bareKey: "a key without quotes, allowed: double quotes",
  escape: "found a backslash that begins no escape",
  literal: "allowed: true, false, null in lower case",
  noNumber: "found a number in a form that JSON does not have",
  quantity: "found a number with a unit",
  variable: "found a variable: Relay replaces none in the text of the file",
  bareText: "found text without quotes, allowed: double quotes around text",
  value: "a value is missing here",
} as const;

type Token =
  | {
      readonly kind: "string" | "quoted" | "open" | "comment" | "word";
      readonly at: number;
      readonly end: number;
    }
  | { readonly kind: "mark"; readonly mark: string; readonly at: number; readonly end: number };

/** The tokens of JSON and of its lookalikes. An `open` string has no closing quote on its line. */
const TOKENS =
  /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|#[^\n]*)|(?<string>"(?:[^"\\\n]|\\[^\n])*")|(?<quoted>'(?:[^'\\\n]|\\[^\n])*'|[“”„][^“”\n]*[“”]|[‘’][^‘’\n]*[‘’]|`[^`]*`)|(?<open>["'“”„‘’`][^\n]*)|(?<mark>[{}[\],:;=])|(?<word>[A-Za-z][\w+.-]*:\/\/[^\s{}[\],"']*|(?:\$\{[^}\s]{0,100}\}|[^\s{}[\],:;="'“”„‘’`])+)/gu;

const LITERALS: ReadonlySet<string> = new Set(["true", "false", "null"]);
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?$/iu;

/** More than the largest allowed config can have. */
const MAX_TOKENS = 2_000_000;

type Expected = "key" | "colon" | "value" | "comma" | "end";

/** In the order of the text. Empty: no reason was found. */
export function findSyntaxFaults(source: string, words: Words): readonly SyntaxFault[] {
  const form = findOtherForm(source);
  if (form !== null) return [form];
  const scanner = createScanner(source, words);
  let count = 0;
  for (const token of tokensOf(source)) {
    count += 1;
    if (count > MAX_TOKENS) return scanner.listed().map(toNotValid);
    const fault = scanner.take(token, source.slice(token.at, token.end));
    if (fault !== null) return [...scanner.listed(), fault].map(toNotValid);
  }
  return [...scanner.listed(), ...scanner.ended()].map(toNotValid);
}

function toNotValid(fault: SyntaxFault): SyntaxFault {
  return { ...fault, problem: `not valid JSON: ${fault.problem}` };
}

/** Recognizes texts that are another format, not faulty JSON. */
function findOtherForm(source: string): SyntaxFault | null {
  const toFault = (offset: number, problem: string, suggestion: string): SyntaxFault => ({
    offset,
    problem,
    suggestion,
  });
  const example = "a config is an object in JSON: relay init --print shows one";
  if (source.includes("\0")) return toFault(source.indexOf("\0"), "it is no text", example);
  const first = source.search(/\S/u);
  if (first < 0) return toFault(0, "the file is empty", "relay init --force FILE writes a first config");
  const conflict = /^(?:<{7}|={7}|>{7})(?= |$)/mu.exec(source);
  if (conflict !== null)
    return toFault(
      conflict.index,
      "an unresolved git merge conflict",
      "keep one of its two sides and delete the markers",
    );
  const start = source.slice(first);
  if (/^[{["']/u.test(start) && !/^\[\[?[A-Za-z][\w.-]*\]/u.test(start)) return null;
  if (/^<[!?A-Za-z]/u.test(start)) return toFault(first, "this is XML or HTML, not JSON", example);
  const body = start.replace(/^(?:#[^\n]*(?:\n\s*|$))*/u, "");
  if (/^\[\[?[A-Za-z][\w.-]*\]|^[\w.-]+\s*=\s*\S/u.test(body))
    return toFault(first, "this is TOML or an INI file, not JSON", example);
  if (/^(?:---|%YAML|- |[\w"$-]+:(?:\s|$))/u.test(body))
    return toFault(first, "this is YAML, not JSON", "convert it, for example with: yq -o json");
  return null;
}

/**
 * Keeps reading after a fault that it can repair, so that one run finds all of them. `take` returns a fault only if it
 * cannot go on after it.
 */
function createScanner(source: string, words: Words) {
  const found = new Map<Kind, { offset: number; suggestion: string | null; count: number }>();
  const frames: Frame[] = [];
  const lines = createLineCursor(source);
  const brackets = createBracketMatcher(source, lines);
  let expected: Expected = "value";
  /** True: the present object or list is still empty, so its closing bracket may follow. */
  let isFresh = false;
  let key = "";
  let previous: Token | null = null;

  function note(kind: Kind, offset: number, suggestion: string | null = null): void {
    const known = found.get(kind);
    if (known === undefined) found.set(kind, { offset, suggestion, count: 1 });
    else known.count += 1;
  }

  function listed(): readonly SyntaxFault[] {
    return [...found].map(([kind, { offset, suggestion, count }]) => ({
      offset,
      problem: count === 1 ? PROBLEMS[kind] : `${PROBLEMS[kind]} (and ${count - 1} more)`,
      suggestion,
    }));
  }

  function ended(): readonly SyntaxFault[] {
    const open = frames.at(-1);
    if (open === undefined) return [];
    const misplaced = brackets.findMisplaced();
    if (misplaced !== null) return [misplaced];
    const suggestion = `the ${open.bracket} in line ${lineOf(source, open.at)} is still open: write ${CLOSING[open.bracket]} where it ends`;
    return [{ offset: source.trimEnd().length, problem: "the text ends too early", suggestion }];
  }

  function take(token: Token, text: string): SyntaxFault | null {
    lines.moveTo(token.at);
    if (token.kind === "comment") {
      note("comment", token.at, "delete it");
      return null;
    }
    if (token.kind === "open") {
      const problem = "this string has no closing quote in its line";
      return { offset: token.at, problem, suggestion: 'write " where it ends' };
    }
    const mark = token.kind === "mark" ? token.mark : null;
    supply(token, mark);
    const fault = step(token, mark, text);
    previous = token;
    return fault;
  }

  /** Notes a missing comma or colon before a token, and continues as if it were there. */
  function supply(token: Token, mark: string | null): void {
    const beginsValue = mark === null || mark === "{" || mark === "[";
    const end = previous?.end ?? token.at;
    if (expected === "comma" && beginsValue) {
      note("comma", end, "write ,");
      expected = frames.at(-1)?.bracket === "{" ? "key" : "value";
    } else if (expected === "colon" && beginsValue) {
      note("colon", end, "write :");
      expected = "value";
    } else if (expected === "colon" && (mark === "," || mark === "}")) {
      note("value", end, "write : and a value");
      expected = "comma";
    }
  }

  function step(token: Token, mark: string | null, text: string): SyntaxFault | null {
    switch (expected) {
      case "end":
        return mark === ":"
          ? {
              offset: 0,
              problem: "a config is a single object",
              suggestion: "write { before it, and } after it",
            }
          : { offset: token.at, problem: "found text after the end of the config", suggestion: "delete it" };
      case "key":
        return takeKey(token, mark, text);
      case "colon":
        if (mark === "=") note("equals", token.at, "write :");
        expected = "value";
        return null;
      case "value":
        return takeValue(token, mark, text);
      case "comma":
        return takeComma(token, mark);
    }
  }

  function takeKey(token: Token, mark: string | null, text: string): SyntaxFault | null {
    if (mark === "}") {
      if (!isFresh) note("trailing", previous?.at ?? token.at, "delete it");
      return close(token, mark);
    }
    if (mark === ",") note("commas", token.at, "delete it");
    else if (mark !== null) return refuse(token, mark, "a key in double quotes");
    else {
      if (token.kind === "quoted") noteQuotes(token.at, text);
      if (token.kind === "word")
        note("bareKey", token.at, words.known.has(text) ? `write "${text}"` : 'write " on both sides');
      key = text.replaceAll(/^["'“„]|["'”]$/gu, "");
      expected = "colon";
      isFresh = false;
    }
    return null;
  }

  function takeValue(token: Token, mark: string | null, text: string): SyntaxFault | null {
    const inList = frames.at(-1)?.bracket === "[";
    if (mark === "{" || mark === "[") {
      frames.push({ bracket: mark, at: token.at, indent: lines.indent() });
      expected = mark === "{" ? "key" : "value";
      isFresh = true;
    } else if (mark === null) {
      if (token.kind === "quoted") noteQuotes(token.at, text);
      if (token.kind === "word") noteWord(token.at, text);
      if (token.kind === "string") noteEscape(token.at, text);
      expected = frames.length === 0 ? "end" : "comma";
      isFresh = false;
    } else if (mark === "]" && inList) {
      if (!isFresh) note("trailing", previous?.at ?? token.at, "delete it");
      return close(token, mark);
    } else if (mark === "," && inList) note("commas", token.at, "delete it");
    else if (mark === "," || (mark === "}" && !inList && frames.length > 0)) {
      note("value", previous?.end ?? token.at, "write a value after the colon");
      expected = "key";
      return mark === "}" ? close(token, mark) : null;
    } else return refuse(token, mark, "a value");
    return null;
  }

  function takeComma(token: Token, mark: string | null): SyntaxFault | null {
    if (mark === "}" || mark === "]") return close(token, mark);
    if (mark !== "," && mark !== ";") return refuse(token, mark ?? "", "a comma or a closing bracket");
    if (mark === ";") note("semicolon", token.at, "write ,");
    expected = frames.at(-1)?.bracket === "{" ? "key" : "value";
    isFresh = false;
    return null;
  }

  function close(token: Token, mark: "}" | "]"): SyntaxFault | null {
    const open = frames.at(-1);
    if (open === undefined || CLOSING[open.bracket] !== mark)
      return refuse(token, mark, open === undefined ? "nothing" : CLOSING[open.bracket]);
    brackets.close(open, token.at);
    frames.pop();
    expected = frames.length === 0 ? "end" : "comma";
    return null;
  }

  function refuse({ at: offset }: Token, mark: string, allowed: string): SyntaxFault {
    const open = frames.at(-1);
    const isClosing = open !== undefined && (mark === "}" || mark === "]");
    const misplaced = isClosing ? brackets.findMisplaced() : null;
    if (misplaced !== null) return misplaced;
    const suggestion = isClosing
      ? `the ${open.bracket} in line ${lineOf(source, open.at)} is still open: write ${CLOSING[open.bracket]} before this`
      : null;
    return { offset, problem: `found ${mark}, allowed: ${allowed}`, suggestion };
  }

  function noteQuotes(at: number, text: string): void {
    const inner = text.slice(1, -1);
    const kind = /^['`]/u.test(text) ? "singleQuotes" : "otherQuotes";
    note(kind, at, words.known.has(inner) ? `write "${inner}"` : 'write " on both sides');
  }

  function noteEscape(at: number, text: string): void {
    const length = /^(?:[^\\]|\\(?:["\\/bfnrt]|u[0-9a-f]{4}))*/iu.exec(text)?.[0].length ?? 0;
    if (length < text.length) note("escape", at + length, String.raw`write \\ for a backslash`);
  }

  function noteWord(at: number, text: string): void {
    if (LITERALS.has(text) || NUMBER.test(text)) return;
    const literal = words.known.has(text) ? null : toLiteral(text);
    if (literal !== null) note("literal", at, `write ${literal}`);
    else if (/\$\{?\w+\}?/u.test(text)) note("variable", at, toReferenceAdvice(text));
    else if (/^\d+(?:\.\d+)?(?:ms|s|m|min|h|d|[kmg]i?b?)$/iu.test(text)) {
      const unit = words.units.get(key) ?? null;
      const number = toNumber(text, unit);
      note("quantity", at, number === undefined ? null : `write ${number}, in ${unit}`);
    } else if (/^[+.\d-]/u.test(text) && /^[-+]?[\d._xa-f]+$/iu.test(text))
      note("noNumber", at, words.units.has(key) ? toNumberAdvice(text) : null);
    else note("bareText", at, words.known.has(text) ? `write "${text}"` : 'write " on both sides');
  }

  return { take, listed, ended };
}

function* tokensOf(source: string): Generator<Token> {
  for (const match of source.matchAll(TOKENS)) {
    const { comment, string, quoted, open, mark } = match.groups ?? {};
    const span = { at: match.index, end: match.index + match[0].length };
    if (mark !== undefined) yield { kind: "mark", mark, ...span };
    else if (comment !== undefined) yield { kind: "comment", ...span };
    else if (string !== undefined) yield { kind: "string", ...span };
    else if (quoted !== undefined) yield { kind: "quoted", ...span };
    else yield { kind: open === undefined ? "word" : "open", ...span };
  }
}

/** Recognizes true, false and null in the spelling of other languages; null: it is another word. */
function toLiteral(word: string): "true" | "false" | "null" | null {
  switch (word.toLowerCase()) {
    case "true":
    case "yes":
    case "on":
      return "true";
    case "false":
    case "no":
    case "off":
      return "false";
    case "null":
    case "none":
    case "nil":
    case "undefined":
      return "null";
    default:
      return null;
  }
}

function toReferenceAdvice(text: string): string | null {
  const [, name] = /\$\{?([A-Za-z_]\w*)/u.exec(text) ?? [];
  return name === undefined ? null : `in place of a secret or a URL write { "env": "${name}" }`;
}

function toNumberAdvice(text: string): string | null {
  const number = Number(
    text
      .replaceAll("_", "")
      .replace(/^\+/u, "")
      .replace(/^(-?)0+(?=\d)/u, "$1"),
  );
  return Number.isFinite(number) ? `write ${number}` : null;
}

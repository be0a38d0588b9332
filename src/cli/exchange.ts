// Formats a request and its response line by line, as `curl -v` does.

import { parseJson } from "#lib/json.ts";
import { clean, cleanLines } from "#lib/printable.ts";
import type { ExchangeView } from "#wire/subscription.ts";
import { paint, type Screen, type Style } from "./terminal.ts";

type Headers = ExchangeView["request"]["headers"];

export function formatExchange(exchange: ExchangeView, screen: Screen): string {
  const { request, response, outcome } = exchange;
  const lines = [
    `> ${paint(screen, "bold", clean(`${request.method} ${request.url}`))}`,
    ...listHeaders(">", request.headers),
    ...(response === null ? [] : listResponse(exchange, response, screen)),
    paint(screen, styleOf(outcome), clean(describe(exchange))),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function listResponse(
  { status, outcome }: ExchangeView,
  { headers, body, truncated }: NonNullable<ExchangeView["response"]>,
  screen: Screen,
): readonly string[] {
  const text = body === "" ? [] : [...layOut(body).split("\n"), ""];
  return [
    `< ${paint(screen, styleOf(outcome), String(status))}`,
    ...listHeaders("<", headers),
    ...text,
    ...(truncated ? [paint(screen, "dim", "(the rest of the body was not read)")] : []),
  ];
}

export function listHeaders(direction: string, headers: Headers): readonly string[] {
  return [...headers.map(([name, value]) => `${direction} ${clean(`${name}: ${value}`)}`), direction];
}

function describe({ outcome, status, error, durationMs }: ExchangeView): string {
  const answer = error ?? `status ${status}`;
  return `${outcome} after ${durationMs} ms: ${answer}`;
}

function styleOf(outcome: string): Style {
  return outcome === "delivered" ? "green" : "red";
}

const MAX_DEPTH = 40;
const TOKENS = /"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s"[\]{},:]+/gu;

/** JSON on lines of its own, with its texts and numbers as they came; anything else as it is, clean. */
export function layOut(body: string): string {
  return parseJson(body) !== undefined
    ? (indent(body.match(TOKENS) ?? []) ?? cleanLines(body))
    : cleanLines(body);
}

/** Null: too deep. */
function indent(tokens: readonly string[]): string | null {
  let depth = 0;
  let text = "";
  for (const [index, token] of tokens.entries()) {
    const breakLine = () => `\n${"  ".repeat(depth)}`;
    const isEmpty = /[[{]/u.test(tokens[index - 1] ?? "") && /^[\]}]$/u.test(token);
    if (/^[\]}]$/u.test(token)) {
      depth -= 1;
      text += isEmpty ? token : breakLine() + token;
    } else if (/^[[{]$/u.test(token)) {
      depth += 1;
      const isNextEmpty = /^[\]}]$/u.test(tokens[index + 1] ?? "");
      text += isNextEmpty ? token : token + breakLine();
    } else if (token === ",") text += token + breakLine();
    else text += token === ":" ? ": " : clean(token);
    if (depth > MAX_DEPTH) return null;
  }
  return text;
}

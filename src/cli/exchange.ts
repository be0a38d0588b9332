// Formats a request and its response line by line, as `curl -v` does.

import { indentJson } from "#lib/json.ts";
import { clean, cleanJson, cleanLines } from "#lib/printable.ts";
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

/** JSON indented, with its strings and numbers as they came; anything else as it is, clean. */
export function layOut(body: string): string {
  const indented = indentJson(body);
  return indented === null ? cleanLines(body) : cleanJson(indented);
}

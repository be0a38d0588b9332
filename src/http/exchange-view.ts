// One request to a callback and what came of it, as the API shows it: secrets masked, bodies as text.

import * as v from "valibot";
import type { Exchange } from "#callback/client.ts";
import type { Mask } from "#lib/mask.ts";
import { statusOf } from "#delivery/outcome.ts";
import { count, date, text, textOrNull, type View, word } from "./view.ts";

const headers = v.pipe(
  v.array(v.strictTuple([v.string(), v.string()])),
  v.description("Name and value of each, in order"),
);

export const exchangeSchema = v.strictObject({
  outcome: word("What it means", ["delivered", "rejected", "server-error", "exception"]),
  status: count("0: there was no response"),
  error: textOrNull("Of an exception"),
  date: date("When it began"),
  durationMs: v.pipe(v.number(), v.minValue(0), v.description("In milliseconds")),
  request: v.strictObject({
    method: text("Of the request"),
    url: text("As it may be shown"),
    headers,
  }),
  response: v.pipe(
    v.nullable(
      v.strictObject({
        headers,
        body: text("64 KiB at most; bytes that are no UTF-8 are replaced"),
        truncated: v.pipe(v.boolean(), v.description("There was more of the body")),
      }),
    ),
    v.description("null: there was none, or the caller may not see it"),
  ),
});

export type ExchangeView = View<typeof exchangeSchema>;

/** `isAnswerShown` false: what was answered, but for its status, may tell whoever asks about secrets that are not theirs. */
export function toExchangeView(
  { outcome, request, response, mask, ...exchange }: Exchange,
  { isAnswerShown }: { isAnswerShown: boolean },
): ExchangeView {
  return {
    outcome: outcome.kind,
    status: statusOf(outcome),
    error: outcome.kind === "exception" ? outcome.error : null,
    date: exchange.startedAt.toISOString(),
    durationMs: Math.round(exchange.durationMs * 10) / 10,
    request: { method: request.method, url: request.url, headers: toPairs(request.headers) },
    response: response === null || !isAnswerShown ? null : toResponseView(response, mask),
  };
}

function toResponseView({ headers, body, truncated }: NonNullable<Exchange["response"]>, mask: Mask) {
  const content = new TextDecoder().decode(body, { stream: truncated });
  return {
    headers: Object.entries(headers).flatMap(([name, value]) =>
      [value ?? []].flat().map((line): [string, string] => [mask(name), mask(line)]),
    ),
    body: mask(content, truncated ? "cut" : undefined),
    truncated,
  };
}

function toPairs(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) {
    pairs.push([flat[index] ?? "", flat[index + 1] ?? ""]);
  }
  return pairs;
}

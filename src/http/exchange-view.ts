// Converts the exchange of a test to its view: secrets masked, bodies as text.

import type { Exchange } from "#delivery/exchange.ts";
import type { Mask } from "#lib/mask.ts";
import { statusOf } from "#delivery/outcome.ts";
import type { ExchangeView } from "#wire/subscription.ts";

/** `isAnswerShown` false: shows the status only, because the response may reveal secrets of somebody else to the caller. */
export function toExchangeView(
  { outcome, request, response, mask, ...exchange }: Exchange,
  { isAnswerShown }: { isAnswerShown: boolean },
): ExchangeView {
  return {
    outcome: outcome.kind,
    status: statusOf(outcome),
    error: "error" in outcome ? outcome.error : null,
    date: exchange.startedAt.toISOString(),
    durationMs: Math.round(exchange.durationMs * 10) / 10,
    request: { method: request.method, url: request.url, headers: toHeaderPairs(request.headers) },
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

/** `flat`: name and value alternating. */
export function toHeaderPairs(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) {
    pairs.push([flat[index] ?? "", flat[index + 1] ?? ""]);
  }
  return pairs;
}

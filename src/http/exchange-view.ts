// One request to a callback and what came of it, as the API shows it: secrets masked, bodies as text.

import type { Exchange } from "#callback/client.ts";
import { statusOf } from "#delivery/outcome.ts";

export interface ExchangeView {
  readonly outcome: string;
  /** 0: there was no response. */
  readonly status: number;
  readonly error: string | null;
  readonly date: string;
  readonly durationMs: number;
  readonly request: {
    readonly method: string;
    readonly url: string;
    readonly headers: readonly (readonly [name: string, value: string])[];
  };
  readonly response: {
    readonly headers: readonly (readonly [name: string, value: string])[];
    /** Bytes that are no UTF-8 are replaced. */
    readonly body: string;
    readonly truncated: boolean;
  } | null;
}

export function toExchangeView(exchange: Exchange, mask: (text: string) => string): ExchangeView {
  const { outcome, request, response } = exchange;
  return {
    outcome: outcome.kind,
    status: statusOf(outcome),
    error: outcome.kind === "exception" ? mask(outcome.error) : null,
    date: exchange.startedAt.toISOString(),
    durationMs: Math.round(exchange.durationMs * 10) / 10,
    request: { method: request.method, url: request.url, headers: toPairs(request.headers, mask) },
    response:
      response === null
        ? null
        : {
            headers: Object.entries(response.headers).flatMap(([name, value]) =>
              [value ?? []].flat().map((text) => [name, mask(text)] as const),
            ),
            body: mask(new TextDecoder().decode(response.body)),
            truncated: response.truncated,
          },
  };
}

function toPairs(headers: readonly string[], mask: (text: string) => string): [string, string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    pairs.push([headers[index] ?? "", mask(headers[index + 1] ?? "")]);
  }
  return pairs;
}

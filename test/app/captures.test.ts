// What is kept of an exchange, and shown of it: nothing of an access token, not even where the body was cut within it.

import { expect, test } from "bun:test";
import { toCaptures } from "#app/captures.ts";
import type { Exchange } from "#callback/client.ts";
import type { Message } from "#delivery/message.ts";
import { toExchangeView } from "#http/exchange-view.ts";
import { createMask } from "#lib/mask.ts";

const TOKEN = "t0ken-of-the-callback";
const LOGGING = { requestHeaders: false, requestBody: false, responseHeaders: true, responseBody: true };
const MESSAGE: Message = {
  stream: "ORDERS",
  subject: "orders.a",
  sequence: 1,
  timestampNanos: 1n,
  deliveryCount: 1,
  headers: [],
  unreadableHeaders: 0,
  body: new Uint8Array(),
};

function exchangeWith(body: string, { truncated }: { truncated: boolean }): Exchange {
  const response = {
    headers: {},
    body: Buffer.from(body),
    truncated,
    maskTokens: createMask([TOKEN]),
  };
  return {
    outcome: { kind: "delivered", status: 200 },
    startedAt: new Date(0),
    durationMs: 1,
    sent: true,
    aborted: false,
    resends: 0,
    droppedHeaders: 0,
    request: { method: "POST", url: "http://127.0.0.1/", headers: [] },
    response,
  };
}

test.each([
  [true, "echo ***"],
  [false, "echo t0ken-of-th"],
])(
  "toCaptures() and toExchangeView() mask the beginning of a token at the end of a body: cut %p",
  (truncated, expected) => {
    const exchange = exchangeWith("echo t0ken-of-th", { truncated });
    const { response } = toCaptures(exchange, { message: MESSAGE, logging: LOGGING });
    expect(Buffer.from(response?.body ?? []).toString()).toBe(expected);
    expect(toExchangeView(exchange, createMask([])).response?.body).toBe(expected);
  },
);

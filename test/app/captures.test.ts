// What is kept of an exchange, and shown of it: nothing of what went along in it, not even where the body was cut within it.

import { expect, test } from "bun:test";
import { toCaptures } from "#app/captures.ts";
import type { Exchange } from "#delivery/exchange.ts";
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
    mask: createMask([TOKEN]),
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
    expect(toExchangeView(exchange, { isAnswerShown: true }).response?.body).toBe(expected);
  },
);

test("toExchangeView() shows no answer to whom its masks would tell of secrets", () => {
  const exchange = exchangeWith("echo t0ken-of-the-callback", { truncated: false });
  expect(toExchangeView(exchange, { isAnswerShown: false })).toMatchObject({ status: 200, response: null });
});

test("toCaptures() hides secrets in what a message says, and not in what Relay says of it", () => {
  const logging = { requestHeaders: true, requestBody: true, responseHeaders: false, responseBody: false };
  const exchange = exchangeWith("", { truncated: false });
  const headers = ["Nats-Subject", TOKEN, "Cookie", "a=b", "X-Note", `it is ${TOKEN}`];
  const body = Buffer.from(`with ${TOKEN}`);
  const captures = toCaptures(
    { ...exchange, request: { ...exchange.request, headers } },
    { message: { ...MESSAGE, body }, logging },
  );
  expect(captures.request?.headers).toEqual([
    ["Nats-Subject", TOKEN],
    ["Cookie", "***"],
    ["X-Note", "it is ***"],
  ]);
  expect(Buffer.from(captures.request?.body ?? []).toString()).toBe("with ***");
  expect(captures.response).toBeNull();
});

test("toCaptures() cuts a large message without a part of a secret at its end", () => {
  const logging = { requestHeaders: false, requestBody: true, responseHeaders: false, responseBody: false };
  const body = Buffer.from(`${"x".repeat(64 * 1024 - 6)}${TOKEN}${"y".repeat(40_000)}`);
  const captures = toCaptures(exchangeWith("", { truncated: false }), {
    message: { ...MESSAGE, body },
    logging,
  });
  expect(captures.request?.isCut).toBe(true);
  expect(Buffer.from(captures.request?.body ?? []).toString()).toEndWith("xx***yyy");
});

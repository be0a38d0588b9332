// An exchange with a callback as it is shown: the whole of it, and nothing in it reaches the terminal as a command.

import { expect, test } from "bun:test";
import { formatExchange, layOut } from "#cli/exchange.ts";
import type { ExchangeView } from "#wire/subscription.ts";

const PLAIN = { width: null, isColoured: false };

function exchangeWith(changes: Partial<ExchangeView>): ExchangeView {
  return {
    outcome: "delivered",
    status: 200,
    error: null,
    date: "2026-11-21T12:00:00.000Z",
    durationMs: 12.3,
    request: {
      method: "POST",
      url: "http://127.0.0.1:9000/billing",
      headers: [
        ["content-type", "application/json"],
        ["authorization", "***"],
      ],
    },
    response: { headers: [["content-type", "text/plain"]], body: "thank you", truncated: false },
    ...changes,
  };
}

test("formatExchange() shows request, response and outcome", () => {
  expect(formatExchange(exchangeWith({}), PLAIN).split("\n")).toEqual([
    "> POST http://127.0.0.1:9000/billing",
    "> content-type: application/json",
    "> authorization: ***",
    ">",
    "< 200",
    "< content-type: text/plain",
    "<",
    "thank you",
    "",
    "delivered after 12.3 ms: status 200",
    "",
  ]);
});

test("formatExchange() says why there was no response", () => {
  const exchange = exchangeWith({
    outcome: "exception",
    status: 0,
    error: "Cannot connect to 127.0.0.1:9000: connection refused",
    response: null,
  });
  expect(formatExchange(exchange, PLAIN).split("\n").slice(3)).toEqual([
    ">",
    "exception after 12.3 ms: Cannot connect to 127.0.0.1:9000: connection refused",
    "",
  ]);
});

test("formatExchange() says that a body was cut", () => {
  const response = { headers: [], body: "", truncated: true };
  expect(formatExchange(exchangeWith({ response }), PLAIN)).toContain(
    "\n(the rest of the body was not read)\n",
  );
});

test("formatExchange() lets no answer colour, clear or retitle the terminal", () => {
  const hostile = "\u001b[2J\u001b]0;owned\u0007\u009b31m\r\u202e";
  const text = formatExchange(
    exchangeWith({
      status: 200,
      outcome: hostile as ExchangeView["outcome"],
      error: hostile,
      request: { method: hostile, url: hostile, headers: [[hostile, hostile]] },
      response: { headers: [[hostile, hostile]], body: `${hostile}\n{"a":"${hostile}"}`, truncated: false },
    }),
    PLAIN,
  );
  expect(text.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\u202e]/u);
  expect(text).toContain("\\u001b[2J");
});

test("layOut() puts JSON on lines of its own and changes no value", () => {
  const body = '{"id":12345678901234567890,"name":"a, {b}: \\"c\\"","none":{},"list":[ 1,\n[],{"x":null}]}';
  expect(layOut(body).split("\n")).toEqual([
    "{",
    '  "id": 12345678901234567890,',
    '  "name": "a, {b}: \\"c\\"",',
    '  "none": {},',
    '  "list": [',
    "    1,",
    "    [],",
    "    {",
    '      "x": null',
    "    }",
    "  ]",
    "}",
  ]);
});

test.each([
  ["no JSON", "<html>\n</html>"],
  ["cut JSON", '{"a":'],
  ["JSON that is too deep to be read", `${"[".repeat(60)}${"]".repeat(60)}`],
])("layOut() shows %s as it is", (_what, body) => {
  expect(layOut(body)).toBe(body);
});

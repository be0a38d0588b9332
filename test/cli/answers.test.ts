// What a relay answered is read as the API says it; a newer relay may say more, another program is told from one.

import { expect, test } from "bun:test";
import { parseAnswer } from "#cli/answers.ts";
import { orphanSchema } from "#wire/status.ts";
import { exchangeSchema } from "#wire/subscription.ts";

const ORPHAN = {
  consumer: "relay-old",
  subscription: "old",
  domain: null,
  stream: "ORDERS",
  pending: 1,
  ackPending: 0,
};
const EXCHANGE = {
  outcome: "delivered",
  status: 200,
  error: null,
  date: "2026-01-31T12:00:00.000Z",
  durationMs: 1.5,
  request: { method: "POST", url: "http://a/", headers: [["a", "b"]] },
  response: null,
};

test.each([
  ["an answer", orphanSchema, ORPHAN],
  ["a key more", orphanSchema, { ...ORPHAN, consumerLag: 1 }],
  ["a key more further in", exchangeSchema, { ...EXCHANGE, request: { ...EXCHANGE.request, version: 2 } }],
  ["another word", exchangeSchema, { ...EXCHANGE, outcome: "throttled" }],
  ["a number out of its bounds", orphanSchema, { ...ORPHAN, pending: -1 }],
])("parseAnswer() takes %s", (_name, schema, value) => {
  expect(parseAnswer<typeof schema>(schema, value) as unknown).toBe(value);
});

test.each([
  ["another program", orphanSchema, "hello", "the whole"],
  ["a key less", orphanSchema, { ...ORPHAN, stream: undefined }, "stream"],
  ["another type", orphanSchema, { ...ORPHAN, pending: "1" }, "pending"],
  ["a number for a word", exchangeSchema, { ...EXCHANGE, outcome: 1 }, "outcome"],
  [
    "a header without a value",
    exchangeSchema,
    { ...EXCHANGE, request: { ...EXCHANGE.request, headers: [["a"]] } },
    "request.headers.0.1",
  ],
])("parseAnswer() refuses %s", (_name, schema, value, where) => {
  expect(() => parseAnswer<typeof schema>(schema, value)).toThrow(
    `Cannot read the answer: it is that of another version of Relay, or of another program (${where})`,
  );
});

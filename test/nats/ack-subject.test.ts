// The forms of an ack subject that servers have used.

import { expect, test } from "bun:test";

import { parseAckSubject } from "#nats/ack-subject.ts";

const TAIL = "ORDERS.relay-billing.2.71.5.1700000000123456789.42";
const PARSED = {
  stream: "ORDERS",
  consumer: "relay-billing",
  deliveryCount: 2,
  sequence: 71,
  consumerSequence: 5,
  timestampNanos: 1_700_000_000_123_456_789n,
  pending: 42,
};

test.each([
  ["9 tokens", `$JS.ACK.${TAIL}`],
  ["11 tokens, with domain and account", `$JS.ACK.hub.ABCDEF.${TAIL}`],
  ["12 tokens, with a random one at the end", `$JS.ACK._.ABCDEF.${TAIL}.xyz`],
])("parseAckSubject() reads %s", (_, subject) => {
  expect(parseAckSubject(subject)).toEqual(PARSED);
});

test.each([
  ["an inbox", "_INBOX.abc.1"],
  ["too few tokens", "$JS.ACK.ORDERS.relay-billing.2.71"],
  ["ten tokens", `$JS.ACK.hub.${TAIL}`],
  ["a word for a number", "$JS.ACK.ORDERS.relay-billing.2.x.5.1.42"],
  ["a negative number", "$JS.ACK.ORDERS.relay-billing.2.-7.5.1.42"],
  ["no delivery", "$JS.ACK.ORDERS.relay-billing.0.7.5.1.42"],
  ["no sequence", "$JS.ACK.ORDERS.relay-billing.1.0.5.1.42"],
  ["a sequence past 2^53", "$JS.ACK.ORDERS.relay-billing.1.9007199254740993.5.1.42"],
  ["a time that no date can be", "$JS.ACK.ORDERS.relay-billing.1.7.5.99999999999999999999.42"],
])("parseAckSubject() refuses %s", (_, subject) => {
  expect(parseAckSubject(subject)).toBeNull();
});

test("parseAckSubject() accepts a pending count just below 2^64", () => {
  const parsed = parseAckSubject("$JS.ACK.ORDERS.relay-billing.1.7.5.1.18446744073709551615");
  expect(parsed).toMatchObject({ sequence: 7, pending: Number.MAX_SAFE_INTEGER });
});

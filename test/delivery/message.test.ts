// The id a message keeps for ever, and the time as NATS writes it.

import { describe, expect, test } from "bun:test";

import { type Message, timeToken, toNatsTimestamp, toWebhookId } from "#delivery/message.ts";

const MESSAGE: Message = {
  stream: "ORDERS",
  sequence: 42,
  subject: "orders.created",
  timestampNanos: 1_700_000_000_123_456_789n,
  deliveryCount: 1,
  headers: [],
  unreadableHeaders: 0,
  body: new Uint8Array(),
};

describe("toWebhookId()", () => {
  test("is stream, sequence and the nanoseconds in base 36", () => {
    expect(toWebhookId(MESSAGE)).toBe("msg_ORDERS_42_cwyvpeni7w9h");
  });

  test("is the same for every delivery of a message", () => {
    expect(toWebhookId({ ...MESSAGE, deliveryCount: 7, headers: [["a", "b"]] })).toBe(toWebhookId(MESSAGE));
  });

  test("tells a message by one nanosecond from one with the same sequence", () => {
    const other = { ...MESSAGE, timestampNanos: MESSAGE.timestampNanos + 1n };
    expect(timeToken(other)).not.toBe(timeToken(MESSAGE));
    expect(toWebhookId(other)).not.toBe(toWebhookId(MESSAGE));
  });
});

/** Each as `time.Unix(0, n).UTC().Format(time.RFC3339Nano)` of Go prints it. */
test.each([
  [0n, "1970-01-01T00:00:00Z"],
  [1n, "1970-01-01T00:00:00.000000001Z"],
  [1_700_000_000_000_000_000n, "2023-11-14T22:13:20Z"],
  [1_700_000_000_100_000_000n, "2023-11-14T22:13:20.1Z"],
  [1_700_000_000_120_000_000n, "2023-11-14T22:13:20.12Z"],
  [1_700_000_000_123_456_789n, "2023-11-14T22:13:20.123456789Z"],
  [1_700_000_000_123_456_700n, "2023-11-14T22:13:20.1234567Z"],
  [1_700_000_000_000_000_100n, "2023-11-14T22:13:20.0000001Z"],
  [1_700_000_000_999_999_999n, "2023-11-14T22:13:20.999999999Z"],
  [951_782_400_000_000_010n, "2000-02-29T00:00:00.00000001Z"],
  [4_102_444_799_500_000_000n, "2099-12-31T23:59:59.5Z"],
])("toNatsTimestamp() %d: %s", (timestampNanos, expected) => {
  expect(toNatsTimestamp(timestampNanos)).toBe(expected);
});

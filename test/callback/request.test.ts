// The header rules, as tables.

import { describe, expect, test } from "bun:test";

import type { Header, Message } from "#delivery/message.ts";
import { createRequestBuilder } from "#callback/request.ts";

const NOW = new Date("2026-03-01T12:00:00.900Z");
const OWN_NAMES = new Set([
  "Nats-Stream",
  "Nats-Subject",
  "Nats-Sequence",
  "Nats-Time-Stamp",
  "webhook-id",
  "webhook-timestamp",
]);

function toMessage(changes: Partial<Message> = {}): Message {
  return {
    stream: "ORDERS",
    sequence: 42,
    subject: "orders.new",
    timestampNanos: 1_700_000_000_120_000_000n,
    deliveryCount: 1,
    headers: [],
    hasUnreadableHeaders: false,
    body: new Uint8Array(0),
    ...changes,
  };
}

function build({ message = {}, own = [] }: { message?: Partial<Message>; own?: readonly Header[] }) {
  const { headers, droppedHeaders } = createRequestBuilder({ headers: own }, "1.2.3").build(
    toMessage(message),
    NOW,
  );
  const pairs = Array.from({ length: headers.length / 2 }, (_, index) =>
    headers.slice(index * 2, index * 2 + 2),
  );
  return { pairs, droppedHeaders };
}

/** What is sent beside Relay's own fields and the user agent. */
function sentOf(headers: readonly Header[], own: readonly Header[] = []) {
  const { pairs, droppedHeaders } = build({ message: { headers }, own });
  const rest = pairs.filter(([name = ""]) => !OWN_NAMES.has(name) && name !== "User-Agent");
  return { sent: rest.map(([name, value]) => `${name}: ${value}`), droppedHeaders };
}

const JSON_TYPE = "Content-Type: application/json";

describe("createRequestBuilder()", () => {
  test("createRequestBuilder() sends the defaults, then what Relay says, then the subscription's headers", () => {
    expect(build({ own: [["X-Key", "abc"]] })).toEqual({
      pairs: [
        ["User-Agent", "relay/1.2.3"],
        ["Content-Type", "application/json"],
        ["Nats-Stream", "ORDERS"],
        ["Nats-Subject", "orders.new"],
        ["Nats-Sequence", "42"],
        ["Nats-Time-Stamp", "2023-11-14T22:13:20.12Z"],
        ["webhook-id", `msg_ORDERS_42_${1_700_000_000_120_000_000n.toString(36)}`],
        ["webhook-timestamp", "1772366400"],
        ["X-Key", "abc"],
      ],
      droppedHeaders: 0,
    });
  });

  test.each<[string, Header[], string[]]>([
    ["passes a header on", [["X-Trace", "1"]], [JSON_TYPE, "X-Trace: 1"]],
    [
      "lets the message choose the content type",
      [["content-type", "text/plain"]],
      ["content-type: text/plain"],
    ],
    [
      "joins repeated ones in the case of the first",
      [
        ["X-A", "1"],
        ["X-B", "2"],
        ["x-a", "3"],
      ],
      [JSON_TYPE, "X-A: 1, 3", "X-B: 2"],
    ],
    [
      "keeps Latin-1 and empty values",
      [
        ["X-A", "caf\u00e9"],
        ["X-B", ""],
      ],
      [JSON_TYPE, "X-A: caf\u00e9", "X-B: "],
    ],
    [
      "withholds names listed in Connection",
      [
        ["Connection", "close, X-Hop"],
        ["x-hop", "1"],
        ["X-A", "2"],
      ],
      [JSON_TYPE, "X-A: 2"],
    ],
    [
      "falls back to the default type if Connection lists it",
      [
        ["Connection", "content-type"],
        ["Content-Type", "a/b"],
      ],
      [JSON_TYPE],
    ],
    [
      "keeps names that only resemble withheld ones",
      [
        ["Hosts", "1"],
        ["NatsX", "2"],
      ],
      [JSON_TYPE, "Hosts: 1", "NatsX: 2"],
    ],
  ])("createRequestBuilder() %s", (_criterion, headers, sent) => {
    expect(sentOf(headers)).toEqual({ sent, droppedHeaders: 0 });
  });

  test.each([
    "Connection",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Host",
    "Content-Length",
    "Authorization",
    "Cookie",
    "Expect",
    "Proxy-Authorization",
    "Proxy-Connection",
    "User-Agent",
    "Nats-Msg-Id",
    "nats-expected-stream",
    "Relay-Reason",
    "webhook-id",
    "Webhook-Signature",
  ])("createRequestBuilder() withholds %s of a message without counting it", (name) => {
    expect(sentOf([[name, "x"]])).toEqual({ sent: [JSON_TYPE], droppedHeaders: 0 });
  });

  test.each<[string, Header]>([
    ["a name with a space", ["X A", "1"]],
    ["an empty name", ["", "1"]],
    ["a name outside ASCII", ["X-\u00e9", "1"]],
    ["a line break", ["X-A", "1\r\nX-B: 2"]],
    ["a control character", ["X-A", "a\u0000b"]],
    ["characters outside Latin-1", ["X-A", "\u20ac"]],
  ])("createRequestBuilder() drops and counts a message header with %s", (_what, header) => {
    expect(sentOf([header, ["X-Good", "1"]])).toEqual({ sent: [JSON_TYPE, "X-Good: 1"], droppedHeaders: 1 });
  });

  test("createRequestBuilder() drops and counts what does not fit into 16 KiB", () => {
    const fitting: Header = ["X-A", "a".repeat(16_384 - 3 - 4)];
    expect(sentOf([fitting])).toEqual({ sent: [JSON_TYPE, fitting.join(": ")], droppedHeaders: 0 });
    expect(sentOf([fitting, ["X-B", ""], ["X-A", ""]])).toEqual({
      sent: [JSON_TYPE, fitting.join(": ")],
      droppedHeaders: 2,
    });
    expect(
      sentOf([
        ["X-A", `${fitting[1]}a`],
        ["X-B", "1"],
      ]),
    ).toEqual({
      sent: [JSON_TYPE, "X-B: 1"],
      droppedHeaders: 1,
    });
  });

  test("createRequestBuilder() counts a header block that could not be read", () => {
    expect(build({ message: { hasUnreadableHeaders: true } }).droppedHeaders).toBe(1);
  });

  test("createRequestBuilder() lets the subscription's headers win over all others, whatever their case", () => {
    const own: Header[] = [
      ["user-agent", "mine"],
      ["CONTENT-TYPE", "a/b"],
      ["x-trace", "own"],
      ["nats-stream", "S"],
      ["Webhook-Id", "w"],
    ];
    const { pairs } = build({
      message: {
        headers: [
          ["X-Trace", "1"],
          ["Content-Type", "c/d"],
        ],
      },
      own,
    });
    const fields = new Map(pairs.map(([name = "", value]) => [name.toLowerCase(), value]));
    expect(fields.size).toBe(pairs.length);
    for (const [name, value] of own) expect(fields.get(name.toLowerCase())).toBe(value);
  });

  test("createRequestBuilder() takes the last of the subscription's headers of one name", () => {
    expect(
      sentOf(
        [],
        [
          ["X-A", "1"],
          ["x-a", "2"],
        ],
      ).sent,
    ).toEqual([JSON_TYPE, "x-a: 2"]);
  });

  test.each<Header>([
    ["Content-Length", "1"],
    ["Transfer-Encoding", "chunked"],
    ["Connection", "close"],
    ["X A", "1"],
    ["X-A", "\u20ac"],
  ])("createRequestBuilder() leaves out %s of a subscription", (name, value) =>
    expect(sentOf([], [[name, value]]).sent).toEqual([JSON_TYPE]),
  );

  test.each([
    ["orders.new", "orders.new"],
    ["orders.50%", "orders.50%"],
    ["orders.é", "orders.%C3%A9"],
    ["orders.50%.€", "orders.50%25.%E2%82%AC"],
    ["orders.\u007f", "orders.%7F"],
  ])("createRequestBuilder() writes the subject %s as %s", (subject, text) => {
    expect(build({ message: { subject } }).pairs).toContainEqual(["Nats-Subject", text]);
  });
});

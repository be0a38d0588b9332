// The header rules, as tables.

import { describe, expect, test } from "bun:test";

import { createRequestBuilder } from "#callback/request.ts";
import { readHeaderLines } from "#callback/request-writer.ts";
import { createSigner } from "#callback/signature.ts";
import type { CallbackAuth, SignatureKey } from "#delivery/callback.ts";
import type { Header, Message } from "#delivery/message.ts";
import { toSampleMessage } from "#delivery/sample.ts";
import type { RequestParts } from "#delivery/shape.ts";
import { startReceiver } from "../support/receiver.ts";
import { toCallbackSettings, toSubscription, toTokenEndpoint } from "../support/subscription.ts";
import { NEVER, openTestCallback } from "./setup.ts";

const SOURCE = toSubscription().source;
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
    unreadableHeaders: 0,
    body: new Uint8Array(0),
    ...changes,
  };
}

interface Given {
  readonly message?: Partial<Message>;
  readonly own?: readonly Header[];
  readonly auth?: CallbackAuth;
  readonly keys?: readonly SignatureKey[];
  readonly now?: Date;
}

function builderOf({ own = [], auth = { kind: "none" }, keys = [] }: Given) {
  const changes = { headers: own, auth, signatureKeys: keys };
  return createRequestBuilder(toCallbackSettings(new URL("http://127.0.0.1/"), changes), "1.2.3");
}

function build(given: Given) {
  const { lines, droppedHeaders } = builderOf(given).build(toMessage(given.message), given.now ?? NOW);
  const headers = readHeaderLines(lines);
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
      "withholds names listed in Connection in the other spelling too",
      [
        ["Connection", "X-Hop, Y_Hop"],
        ["x_hop", "1"],
        ["Y-Hop", "2"],
      ],
      [JSON_TYPE],
    ],
    [
      "passes on a header with an underscore that is nobody's",
      [
        ["X_Trace", "1"],
        ["X-Trace", "2"],
      ],
      [JSON_TYPE, "X_Trace: 1", "X-Trace: 2"],
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
    "X-Relay-Test",
    "USER_AGENT",
    "Content_Length",
    "Transfer_Encoding",
    "Keep_Alive",
    "nats_sequence",
    "Relay_Reason",
    "webhook_id",
    "Webhook_Signature",
    "proxy_authorization",
    "X_Relay-Test",
    "Content_Type",
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

  test.each<[string, string]>([
    ["X-Api-Key", "X_Api_Key"],
    ["X-Api-Key", "x-api_key"],
    ["X_Api_Key", "X-Api-Key"],
    ["X-Api_Key", "X_Api-Key"],
  ])("createRequestBuilder() with a header %s of the subscription withholds %s", (own, name) => {
    expect(sentOf([[name, "forged"]], [[own, "right"]])).toEqual({
      sent: [JSON_TYPE, `${own}: right`],
      droppedHeaders: 0,
    });
  });

  test("createRequestBuilder() marks a sample, and nothing else", () => {
    const message = toSampleMessage(SOURCE, { body: new Uint8Array(), now: NOW });
    expect(build({ message }).pairs).toContainEqual(["X-Relay-Test", "true"]);
    expect(build({}).pairs.map(([name]) => name)).not.toContain("X-Relay-Test");
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

  test("createRequestBuilder() counts headers that could not be read beside those that cannot be sent", () => {
    expect(build({ message: { unreadableHeaders: 3 } }).droppedHeaders).toBe(3);
    const headers: Header[] = [
      ["X-A", "1"],
      ["X-B", "\u20ac"],
    ];
    expect(build({ message: { headers, unreadableHeaders: 3 } }).droppedHeaders).toBe(4);
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
    ["orders.\r\nX-Evil: 1", "orders.%0D%0AX-Evil:%201"],
    ["orders.\0", "orders.%00"],
  ])("createRequestBuilder() writes the subject %j as %s", (subject, text) => {
    expect(build({ message: { subject } }).pairs).toContainEqual(["Nats-Subject", text]);
  });

  test("createRequestBuilder() writes the name of a stream in any script into stream and id", () => {
    const { pairs } = build({ message: { stream: "Aufträge", timestampNanos: 36n } });
    expect(pairs).toContainEqual(["Nats-Stream", "Auftr%C3%A4ge"]);
    expect(pairs).toContainEqual(["webhook-id", "msg_Auftr%C3%A4ge_42_10"]);
  });
});

const OAUTH2: CallbackAuth = {
  kind: "oauth2",
  ...toTokenEndpoint(new URL("http://127.0.0.1/token")),
  clientId: "relay",
  clientSecret: "secret",
  scopes: [],
  audience: null,
  clientAuthentication: "body",
};
const JWT_PROFILE: CallbackAuth = {
  kind: "jwt-profile",
  ...toTokenEndpoint(new URL("http://127.0.0.1/token")),
  assertion: {
    issuer: "i",
    subject: "s",
    audience: "a",
    lifetimeMs: 30_000,
    algorithm: "HS256",
    key: { kind: "hmac", secret: new Uint8Array(32) },
    keyId: null,
    jwtId: null,
    chain: [],
    customClaims: [],
  },
};
const CONFIGURED: readonly Header[] = [
  ["AUTHORIZATION", "Bearer configured"],
  ["X-A", "1"],
  ["authorization", "Bearer configured too"],
];

describe("createRequestBuilder() and auth", () => {
  test.each<[string, CallbackAuth, string]>([
    [
      "basic",
      { kind: "basic", username: "Aladdin", password: "open sesame" },
      "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    ],
    ["basic", { kind: "basic", username: "test", password: "123\u00a3" }, "Basic dGVzdDoxMjPCow=="],
    ["token", { kind: "token", value: "abc.def" }, "Bearer abc.def"],
  ])(
    "createRequestBuilder() sends %s as the last header, in place of a configured one",
    (_kind, auth, value) => {
      const { pairs } = build({ auth, own: CONFIGURED, message: { headers: [["Authorization", "stolen"]] } });
      expect(pairs.slice(-2)).toEqual([
        ["X-A", "1"],
        ["Authorization", value],
      ]);
      expect(pairs.filter(([name = ""]) => name.toLowerCase() === "authorization")).toHaveLength(1);
      expect(builderOf({ auth, own: CONFIGURED }).fixedHeaders).toEqual(["X-A", "1", "Authorization", value]);
    },
  );

  test.each<[string, CallbackAuth]>([
    ["oauth2", OAUTH2],
    ["jwt-profile", JWT_PROFILE],
  ])("createRequestBuilder() leaves a configured Authorization out where %s asks for one", (_kind, auth) => {
    const { pairs } = build({ auth, own: CONFIGURED });
    expect(pairs.at(-1)).toEqual(["X-A", "1"]);
    expect(pairs.filter(([name = ""]) => name.toLowerCase() === "authorization")).toEqual([]);
  });

  test("createRequestBuilder() sends a configured Authorization where there is no auth", () => {
    expect(sentOf([], [["Authorization", "ApiKey abc"]]).sent).toEqual([
      JSON_TYPE,
      "Authorization: ApiKey abc",
    ]);
  });

  test.each(["a\r\nX-Evil: 1", "a\nb", "a\0b", "\u20ac"])(
    "createRequestBuilder() with a token that no header can hold lets no request out: %j",
    async (value) => {
      await using receiver = await startReceiver();
      const auth: CallbackAuth = { kind: "token", value };
      await using callback = openTestCallback(receiver.url, { auth });
      const error = `Cannot call ${receiver.url.host}: its Authorization has characters that no header can hold`;
      const exception = { kind: "exception", error };
      expect(await callback.prepare(NEVER)).toMatchObject(exception);
      const exchange = await callback.send(toMessage(), { mayResend: true, signal: NEVER });
      expect(exchange).toMatchObject({ outcome: exception, sent: false });
      // A part of the token must not be shown as if it were another header.
      expect(exchange.request.headers).not.toContain("X-Evil");
      expect(receiver.requests).toEqual([]);
    },
  );
});

const KEYS: readonly SignatureKey[] = [
  { kind: "hmac-sha256", secret: new Uint8Array(32).fill(1) },
  { kind: "ed25519", seed: new Uint8Array(32).fill(2) },
];

/** What a receiver with the keys would expect of what it got. */
function expectedSignature(pairs: readonly string[][], body: string): string | undefined {
  const fields = new Map(pairs.map(([name = "", value = ""]) => [name.toLowerCase(), value.trim()]));
  return createSigner(KEYS)?.(new TextEncoder().encode(body), {
    id: fields.get("webhook-id") ?? "",
    timestamp: fields.get("webhook-timestamp") ?? "",
  });
}

describe("createRequestBuilder() and signatures", () => {
  const body = "{}";
  const message = { body: new TextEncoder().encode(body) };

  test("createRequestBuilder() signs id, time and body as sent, right behind the time", () => {
    const { pairs } = build({ message, own: [["X-A", "1"]], keys: KEYS });
    const names = pairs.map(([name]) => name);
    expect(names.slice(-4)).toEqual(["webhook-id", "webhook-timestamp", "webhook-signature", "X-A"]);
    expect(pairs.at(-2)?.[1]).toBe(expectedSignature(pairs, body) ?? "");
    expect(pairs.at(-2)?.[1]).toMatch(/^v1,[\w+/]{43}= v1a,[\w+/]{86}==$/);
  });

  test("createRequestBuilder() signs each attempt anew", () => {
    const [first, second] = [NOW, new Date(NOW.getTime() + 1000)].map((now) =>
      build({ message, keys: KEYS, now }),
    );
    expect(first?.pairs.at(-1)).not.toEqual(second?.pairs.at(-1));
    expect(second?.pairs.at(-1)?.[1]).toBe(expectedSignature(second?.pairs ?? [], body) ?? "");
  });

  test.each<[string, readonly Header[]]>([
    ["id", [["Webhook-ID", "of the subscription"]]],
    ["time", [["WEBHOOK-TIMESTAMP", "1700000000"]]],
    [
      "id and time, with spaces around",
      [
        ["webhook-id", " a b\t"],
        ["webhook-timestamp", " 1 "],
      ],
    ],
  ])("createRequestBuilder() signs the %s of the subscription where it has its own", (_what, own) => {
    const { pairs } = build({ message, own, keys: KEYS });
    const signature = pairs.find(([name]) => name === "webhook-signature")?.[1];
    expect(signature).toBe(expectedSignature(pairs, body) ?? "");
    expect(signature).not.toBe(build({ message, keys: KEYS }).pairs.at(-1)?.[1]);
  });

  test("createRequestBuilder() lets a signature of the subscription's own headers win", () => {
    const { pairs } = build({ message, own: [["Webhook-Signature", "mine"]], keys: KEYS });
    const signatures = pairs.filter(([name = ""]) => name.toLowerCase() === "webhook-signature");
    expect(signatures).toEqual([["Webhook-Signature", "mine"]]);
  });

  test("createRequestBuilder() sends no signature without keys", () => {
    expect(build({ message }).pairs.map(([name]) => name)).not.toContain("webhook-signature");
  });
});

describe("build() with parts", () => {
  const PARTS: RequestParts = {
    method: null,
    path: "",
    query: "",
    headers: [],
    body: new TextEncoder().encode("new"),
  };
  const parts = (headers: RequestParts["headers"]): RequestParts => ({ ...PARTS, headers });
  const lines = (given: Given, changed: RequestParts) =>
    readHeaderLines(builderOf(given).build(toMessage(given.message), NOW, { parts: changed }).lines);
  const valueOf = (flat: readonly string[], name: string) =>
    flat.filter((_value, at) => at % 2 === 1 && flat[at - 1]?.toLowerCase() === name);

  test("puts their headers in place of the message's, in either spelling", () => {
    const message = {
      headers: [
        ["x_tenant", "a"],
        ["X-Tenant", "b"],
        ["Keep", "k"],
        ["Gone", "g"],
      ] as const,
    };
    const flat = lines(
      { message },
      parts([
        ["X-Tenant", "new"],
        ["gone", null],
      ]),
    );
    expect([
      valueOf(flat, "x-tenant"),
      valueOf(flat, "x_tenant"),
      valueOf(flat, "keep"),
      valueOf(flat, "gone"),
    ]).toEqual([["new"], [], ["k"], []]);
  });

  test.each([
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "webhook-id",
    "Webhook_Signature",
    "Nats-Subject",
  ])("lets them set no %s", (name) => {
    const flat = lines({}, parts([[name, "evil"]]));
    expect(flat).not.toContain("evil");
  });

  test("lets them override neither the subscription's headers nor its authorization", () => {
    const evil = parts([
      ["X-Key", "evil"],
      ["authorization", "evil"],
      ["x_key", "evil"],
    ]);
    for (const auth of [{ kind: "token", value: "t" } as const, { kind: "oauth2" } as CallbackAuth]) {
      expect(lines({ own: [["X-Key", "mine"]], auth }, evil)).not.toContain("evil");
    }
    expect(valueOf(lines({}, evil), "authorization")).toEqual(["evil"]);
  });

  test("signs the body that is sent", () => {
    const key = { kind: "hmac-sha256", secret: new Uint8Array(32) } as const;
    const signature = valueOf(lines({ keys: [key] }, PARTS), "webhook-signature");
    const plain = builderOf({ keys: [key] }).build(toMessage({ body: PARTS.body }), NOW).lines;
    expect(signature).toEqual(valueOf(readHeaderLines(plain), "webhook-signature"));
  });

  test("states the type of the body once: theirs, the message's, or the default", () => {
    const message = { headers: [["content-type", "a/b"]] as const };
    const typeOf = (given: Given, changed: RequestParts) => valueOf(lines(given, changed), "content-type");
    expect(typeOf({ message }, PARTS)).toEqual(["a/b"]);
    expect(typeOf({}, PARTS)).toEqual(["application/json"]);
    expect(
      typeOf(
        { message },
        parts([
          ["content-type", null],
          ["Content-Type", "c/d"],
        ]),
      ),
    ).toEqual(["c/d"]);
    expect(typeOf({ message }, parts([["content-type", null]]))).toEqual([]);
  });
});

describe("build() with a trace", () => {
  const TRACE = { traceparent: "00-new", tracestate: "a=1" };
  const OLD = [
    ["TraceParent", "00-old"],
    ["Tracestate", "b=2"],
    ["baggage", "c=3"],
  ] as const;
  const PARTS: RequestParts = { method: null, path: "", query: "", headers: OLD, body: new Uint8Array() };

  function sent(given: Given, additions: Parameters<ReturnType<typeof builderOf>["build"]>[2]) {
    const flat = readHeaderLines(builderOf(given).build(toMessage(given.message), NOW, additions).lines);
    const pairs = flat.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${flat[at + 1]}`] : []));
    return pairs.filter((pair) => /^(?:trace|baggage)/i.test(pair)).toSorted();
  }

  test.each<[string, Given, RequestParts | null, readonly string[]]>([
    ["nothing", {}, null, ["traceparent: 00-new", "tracestate: a=1"]],
    [
      "the message's",
      { message: { headers: OLD } },
      null,
      ["baggage: c=3", "traceparent: 00-new", "tracestate: a=1"],
    ],
    ["those of transform", {}, PARTS, ["baggage: c=3", "traceparent: 00-new", "tracestate: a=1"]],
  ])("build() with a trace replaces %s, in any case", (_what, given, parts, expected) => {
    expect(sent(given, { parts, trace: TRACE })).toEqual([...expected]);
  });

  test("build() with a trace without tracestate sends no other's", () => {
    const given = { message: { headers: OLD } };
    expect(sent(given, { trace: { ...TRACE, tracestate: null } })).toEqual([
      "baggage: c=3",
      "traceparent: 00-new",
    ]);
  });

  test("build() with a trace lets the subscription's own headers win", () => {
    const own = [["Traceparent", "00-own"]] as const;
    expect(sent({ own, message: { headers: OLD } }, { trace: TRACE })).toContain("Traceparent: 00-own");
    expect(sent({ own: [["tracestate", "own=1"]] }, { trace: TRACE })).toEqual([
      "traceparent: 00-new",
      "tracestate: own=1",
    ]);
  });

  test("build() without a trace passes on the traceparent of the message like any other header", () => {
    const expected = ["TraceParent: 00-old", "Tracestate: b=2", "baggage: c=3"];
    expect(sent({ message: { headers: OLD } }, {})).toEqual(expected);
    expect(sent({}, { parts: PARTS })).toEqual(expected);
  });
});

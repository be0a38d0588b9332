// The spans of messages and attempts in OTLP JSON: what they hold by the semantic conventions, and what they never hold.

import { expect, test } from "bun:test";
import type { Message } from "#delivery/message.ts";
import type { Outcome } from "#delivery/outcome.ts";
import { type SampledTrace, toAttemptSpanId } from "#delivery/trace.ts";
import type { Ending } from "#pipeline/observer.ts";
import { type Broker, toAttemptSpan, toDocument, toMessageSpan } from "#telemetry/spans.ts";
import { toMessage } from "../callback/setup.ts";
import { parseSpans } from "../support/collector.ts";
import { toExchange } from "../support/scripted-parts.ts";
import { toCallbackSettings, toSubscription } from "../support/subscription.ts";

const TRACE: SampledTrace = {
  kind: "sampled",
  traceId: "12345678901234567890123456789012",
  spanId: "1234567890123456",
  parentId: null,
  flags: 0,
  tracestate: null,
  receivedAtMs: 1_700_000_000_000,
  receivedMs: 500,
};
const SUBSCRIPTION = toSubscription({
  id: "billing",
  application: "shop",
  callback: toCallbackSettings(new URL("https://api.example/orders?key=secret-of-the-url"), {
    displayUrl: "https://api.example/orders",
  }),
});
const BROKER = { server: "nats.example:4223", clientName: "relay edge-7" };
const RESOURCE = { "service.name": "relay", "host.name": "edge-7" };

function parse(span: string) {
  const [parsed] = parseSpans(toDocument([span], { resource: RESOURCE, version: "1.2.3" }));
  if (parsed === undefined) throw new Error("There is no span");
  return parsed;
}

interface Given {
  readonly trace?: SampledTrace;
  readonly message?: Partial<Message>;
  readonly subscription?: typeof SUBSCRIPTION;
  readonly broker?: Broker;
}

function messageSpan(
  ending: Ending,
  { trace = TRACE, message = {}, subscription = SUBSCRIPTION, broker = BROKER }: Given = {},
) {
  const report = { key: {}, subscription, message: toMessage("{}", message), attempts: 2, ending, trace };
  return parse(toMessageSpan(trace, report, { broker, clockMs: 750.5 }));
}

function attemptSpan(
  outcome: Outcome,
  { attempt = 1, resends = 0, url = SUBSCRIPTION.callback.displayUrl } = {},
) {
  const exchange = toExchange(outcome, {
    startedAt: new Date(1_700_000_000_100),
    durationMs: 12.25,
    resends,
    request: { method: "POST", url, headers: ["Authorization", "secret-of-the-header"] },
  });
  const action = { kind: "ack" } as const;
  const report = {
    key: {},
    subscription: SUBSCRIPTION,
    message: toMessage(),
    attempt,
    exchange,
    action,
    trace: TRACE,
  };
  return parse(toAttemptSpan(TRACE, report));
}

test("toMessageSpan() tells of a delivered message by the conventions for messaging", () => {
  expect(messageSpan({ kind: "delivered" })).toEqual({
    traceId: TRACE.traceId,
    spanId: TRACE.spanId,
    flags: 0x1_01,
    name: "process ORDERS",
    kind: 5,
    startTimeUnixNano: "1700000000000000000",
    endTimeUnixNano: "1700000000250500000",
    attributes: {
      "messaging.system": "nats",
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
      "messaging.destination.name": "orders.new",
      "messaging.consumer.group.name": "relay-billing",
      "messaging.message.id": "msg_ORDERS_1_cwyvpelgpse8",
      "messaging.client.id": "relay edge-7",
      "server.address": "nats.example",
      "server.port": 4223,
      "relay.stream": "ORDERS",
      "relay.sequence": 1,
      "relay.subscription": "billing",
      "relay.application": "shop",
      "relay.attempts": 2,
      "relay.ending": "delivered",
    },
    resource: RESOURCE,
  });
});

test("toMessageSpan() is a child of the message's traceparent, and keeps its tracestate", () => {
  const trace = { ...TRACE, parentId: "aaaaaaaaaaaaaaaa", flags: 2, tracestate: "foo=1" };
  expect(messageSpan({ kind: "delivered" }, { trace })).toMatchObject({
    parentSpanId: "aaaaaaaaaaaaaaaa",
    traceState: "foo=1",
    flags: 0x3_03,
  });
});

test("toMessageSpan() is named after the channel, where it is one: a subject may hold ids", () => {
  const { source } = SUBSCRIPTION;
  const subscription = { ...SUBSCRIPTION, source: { ...source, filterSubjects: ["orders.*"] } };
  expect(messageSpan({ kind: "delivered" }, { subscription })).toMatchObject({
    name: "process orders.*",
    attributes: { "messaging.destination.template": "orders.*", "messaging.destination.name": "orders.new" },
  });
  const two = { ...SUBSCRIPTION, source: { ...source, filterSubjects: ["orders.*", "bills.*"] } };
  expect(messageSpan({ kind: "delivered" }, { subscription: two }).name).toBe("process ORDERS");
});

test.each([
  ["nats.example:4222", { "server.address": "nats.example", "server.port": 4222 }],
  ["[::1]:4222", { "server.address": "::1", "server.port": 4222 }],
  [null, {}],
])("toMessageSpan() of the server %s", (server, expected) => {
  const { attributes } = messageSpan({ kind: "delivered" }, { broker: { server, clientName: "relay" } });
  const found = Object.entries(attributes).filter(([name]) => name.startsWith("server."));
  expect(Object.fromEntries(found)).toEqual(expected);
});

const REFUSED = {
  kind: "rejected",
  status: 422,
  retryAfterMs: null,
  excerpt: "secret of the callback",
} as const;
const TIMED_OUT = { kind: "exception", code: "timeout", error: "No complete answer" } as const;
const EXPIRED = { kind: "expired", error: "Message is 9 s old" } as const;
const EXPRESSION = { kind: "expression", error: 'path: found "of the message"' } as const;

test.each<[Ending, string | undefined, object | undefined]>([
  [{ kind: "filtered" }, undefined, undefined],
  [{ kind: "returned" }, undefined, undefined],
  [{ kind: "dead-lettered", failure: REFUSED, endpoint: "letters" }, "422", { code: 2 }],
  [{ kind: "dropped", failure: TIMED_OUT }, "timeout", { code: 2, message: "No complete answer" }],
  [{ kind: "lost", failure: EXPRESSION }, "expression", { code: 2 }],
  [
    { kind: "expired", failure: EXPIRED, endpoint: null },
    "expired",
    { code: 2, message: "Message is 9 s old" },
  ],
  [{ kind: "failed-again", failure: REFUSED, letter: null }, "422", { code: 2 }],
])("toMessageSpan() of %o", (ending, errorType, status) => {
  const span = messageSpan(ending);
  expect(span.attributes["relay.ending"]).toBe(ending.kind);
  expect(span.attributes["error.type"]).toBe(errorType as string);
  expect(span.status).toEqual(status as typeof span.status);
});

test("toAttemptSpan() tells of a request by the conventions for HTTP clients, with the URL as it is shown", () => {
  const span = attemptSpan({ kind: "delivered", status: 204 });
  expect(span).toEqual({
    traceId: TRACE.traceId,
    spanId: toAttemptSpanId(TRACE.spanId, 1),
    parentSpanId: TRACE.spanId,
    flags: 0x1_01,
    name: "POST",
    kind: 3,
    startTimeUnixNano: "1700000000100000000",
    endTimeUnixNano: "1700000000112250000",
    attributes: {
      "http.request.method": "POST",
      "http.response.status_code": 204,
      "network.protocol.version": "1.1",
      "server.address": "api.example",
      "server.port": 443,
      "url.full": "https://api.example/orders",
    },
    resource: RESOURCE,
  });
});

test.each<[Outcome, object, object | undefined]>([
  [{ kind: "delivered", status: 409 }, { "http.response.status_code": 409 }, undefined],
  [REFUSED, { "http.response.status_code": 422, "error.type": "422" }, { code: 2 }],
  [{ kind: "server-error", status: 503, retryAfterMs: 1 }, { "error.type": "503" }, { code: 2 }],
  [TIMED_OUT, { "error.type": "timeout" }, { code: 2, message: "No complete answer" }],
  [EXPRESSION, { "error.type": "expression" }, { code: 2 }],
])("toAttemptSpan() of %o", (outcome, attributes, status) => {
  const span = attemptSpan(outcome);
  expect(span.attributes).toMatchObject(attributes);
  expect(span.status).toEqual(status as typeof span.status);
  expect(JSON.stringify(span)).not.toContain("secret");
});

test("toAttemptSpan() counts the requests before it, and has a span of its own for each", () => {
  const spans = [1, 2, 3].map((attempt) => attemptSpan(REFUSED, { attempt, resends: attempt === 3 ? 1 : 0 }));
  expect(spans.map(({ attributes }) => attributes["http.request.resend_count"])).toEqual([
    undefined,
    1,
    3,
  ] as number[]);
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(3);
});

test("toDocument() holds whatever a publisher writes: lone surrogates, quotes, and no more than a part of long texts", () => {
  const subject = `orders."\\\u0001\ud800${"x".repeat(5000)}`;
  const name = messageSpan({ kind: "delivered" }, { message: { subject } }).attributes[
    "messaging.destination.name"
  ];
  expect(name).toStartWith('orders."\\\u0001\ufffdx');
  expect(String(name).length).toBe(1024);
});

// Which messages are traced, in which trace, and what becomes of spans when the config changes.

import { expect, test } from "bun:test";
import type { Message } from "#delivery/message.ts";
import { readTraceContext, type Trace, toTraceHeaders } from "#delivery/trace.ts";
import { createTelemetry } from "#telemetry/telemetry.ts";
import { toMessage } from "../callback/setup.ts";
import { startCollector } from "../support/collector.ts";
import { createRecordingLogger } from "../support/nats.ts";
import { freePort } from "../support/nats-server.ts";
import { toExchange } from "../support/scripted-parts.ts";
import { toSubscription } from "../support/subscription.ts";

const TRACE = "12345678901234567890123456789012";
const SPAN = "1234567890123456";

function setUp(sampleRatio: number | null, endpoint = "http://127.0.0.1:1") {
  const logger = createRecordingLogger();
  const telemetry = createTelemetry({
    host: "edge-7",
    broker: () => ({ server: null, clientName: "relay edge-7" }),
    logger,
  });
  const apply = (ratio: number | null, origin = endpoint) =>
    telemetry.apply(
      ratio === null ? null : { url: new URL("/v1/traces", origin), headers: [], sampleRatio: ratio },
    );
  apply(sampleRatio);
  const trace = (changes: Partial<Message> = {}) => telemetry.observer.trace(toMessage("{}", changes));
  return {
    ...telemetry,
    apply,
    logger,
    trace,
    /** A message that is delivered at once. */
    deliver(changes: Partial<Message> = {}) {
      const message = toMessage("{}", changes);
      const about = {
        key: {},
        subscription: toSubscription(),
        message,
        trace: telemetry.observer.trace(message),
      };
      const exchange = toExchange({ kind: "delivered", status: 200 });
      telemetry.observer.attempted({ ...about, attempt: 1, exchange, action: { kind: "ack" } });
      telemetry.observer.settled({ ...about, attempts: 1, ending: { kind: "delivered" } });
    },
  };
}

function headersOf(trace: Trace | null, attempt = 1) {
  if (trace === null) throw new Error("There is no trace");
  return toTraceHeaders(trace, attempt);
}

function traceIdOf(trace: Trace | null): string | undefined {
  return readTraceContext([["traceparent", headersOf(trace).traceparent]])?.traceId;
}

test("trace() gives none while telemetry is off", () => {
  expect(setUp(null).trace()).toBeNull();
});

test("trace() obeys a parent that is sampled, whatever the ratio is", () => {
  const headers = [
    ["Traceparent", `00-${TRACE}-${SPAN}-01`],
    ["tracestate", "foo=1"],
  ] as const;
  const trace = setUp(0).trace({ headers });
  expect(trace).toMatchObject({ kind: "sampled", traceId: TRACE, parentId: SPAN, tracestate: "foo=1" });
  expect(headersOf(trace).traceparent).toMatch(new RegExp(`^00-${TRACE}-(?!${SPAN})[0-9a-f]{16}-01$`));
  expect(headersOf(trace).tracestate).toBe("foo=1");
});

test("trace() passes on what a message has that is not sampled", () => {
  const traceparent = `cc-${TRACE}-${SPAN}-00-more`;
  const trace = setUp(1).trace({
    headers: [
      ["traceparent", traceparent],
      ["tracestate", "foo=1, bar=2"],
    ],
  });
  expect(trace?.kind).toBe("unsampled");
  expect(headersOf(trace, 3)).toMatchObject({ traceparent, tracestate: "foo=1,bar=2" });
});

test.each([1, 0])(
  "trace() begins one where a message has none, or an invalid one, with the ratio %d",
  (ratio) => {
    const { trace } = setUp(ratio);
    const plain = trace();
    const invalid = trace({
      headers: [
        ["traceparent", "00-1-2-01"],
        ["tracestate", "foo=1"],
      ],
    });
    for (const one of [plain, invalid]) {
      expect(one?.kind).toBe(ratio === 1 ? "sampled" : "unsampled");
      expect(headersOf(one).tracestate).toBeNull();
      expect(headersOf(one).traceparent).toEndWith(ratio === 1 ? "-01" : "-00");
    }
    expect(traceIdOf(plain)).toBe(traceIdOf(invalid) ?? "");
  },
);

test("trace() of a message is the same on every relay, and for each redelivery", () => {
  const [here, there] = [setUp(0.5), setUp(0.5)];
  for (let sequence = 1; sequence <= 100; sequence += 1) {
    const first = here.trace({ sequence });
    const again = there.trace({ sequence, deliveryCount: 2 });
    expect([traceIdOf(again), again?.kind]).toEqual([traceIdOf(first), first?.kind]);
  }
});

test.each([0.01, 0.25, 0.5])("trace() samples %d of the messages", (ratio) => {
  const { trace } = setUp(ratio);
  const kinds = Array.from({ length: 10_000 }, (_, sequence) => trace({ sequence })?.kind);
  const share = kinds.filter((kind) => kind === "sampled").length / kinds.length;
  expect(share).toBeWithin(ratio * 0.7, ratio * 1.3);
});

test("close() exports the spans of sampled messages, the attempt as a child of its message", async () => {
  await using collector = await startCollector();
  const own = setUp(0, collector.endpoint);
  own.deliver({ sequence: 1 });
  own.deliver({ sequence: 2, headers: [["traceparent", `00-${TRACE}-${SPAN}-01`]] });
  await own.close(5000);
  const [attempt, message, ...others] = collector.spans();
  expect(others).toEqual([]);
  expect(message).toMatchObject({ traceId: TRACE, parentSpanId: SPAN, kind: 5 });
  expect(attempt).toMatchObject({ traceId: TRACE, parentSpanId: message?.spanId ?? "", kind: 3 });
  expect(message?.resource).toMatchObject({ "service.name": "relay", "host.name": "edge-7" });
  expect(own.stats()).toEqual({ exported: 2, dropped: 0, fault: null });
});

test("apply() of another endpoint loses no span: what the former did not take goes to the new one", async () => {
  await using before = await startCollector();
  await using after = await startCollector();
  const own = setUp(1, before.endpoint);
  own.deliver();
  own.apply(1, after.endpoint);
  own.deliver();
  await own.close(5000);
  expect([before.spans().length, after.spans().length]).toEqual([2, 2]);

  const moved = setUp(1, `http://127.0.0.1:${await freePort()}`);
  moved.deliver();
  moved.apply(1, after.endpoint);
  moved.deliver();
  await moved.close(5000);
  expect(moved.stats()).toMatchObject({ exported: 4, dropped: 0 });
});

test("apply() of another ratio, or of none, counts from the next message on", async () => {
  await using collector = await startCollector();
  const own = setUp(0, collector.endpoint);
  expect(own.trace()?.kind).toBe("unsampled");
  own.apply(1);
  own.deliver();
  own.apply(null);
  expect(own.trace()).toBeNull();
  await own.close(5000);
  expect(own.stats()).toEqual({ exported: 2, dropped: 0, fault: null });
});

test("close() without a collector costs the spans, and a line in the log", async () => {
  const own = setUp(1, `http://127.0.0.1:${await freePort()}`);
  own.deliver();
  await own.close(5000);
  expect(own.stats()).toMatchObject({ exported: 0, dropped: 2 });
  expect(own.logger.lines.map(({ message }) => message)).toEqual(["Cannot export spans"]);
});

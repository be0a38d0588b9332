// The built binary traces: one relay, a callback, and a collector that takes OTLP as strictly as OpenTelemetry's own.

import { headers as natsHeaders } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CollectedSpan, startCollector } from "../support/collector.ts";
import { RETRY_ON_FAIL, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { readMetric } from "../support/metrics.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { headerOf, startReceiver } from "../support/receiver.ts";
import { runRelay, startRelay, temporaryDirectory } from "../support/relay.ts";
import { openReplays } from "../support/replays.ts";

const TRACE = "12345678901234567890123456789012";
const PARENT = "1234567890123456";
const SECRET = "secret-0123456789";

async function setUp() {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const client = await nats.connect();
  await addStream(client);
  const collector = stack.use(await startCollector());
  const receiver = stack.use(await startReceiver());
  const directory = stack.use(await temporaryDirectory()).path;
  const toConfig = (sampleRatio: number) => ({
    ...testConfig({
      natsUrl: nats.url,
      callbackUrl: `${receiver.url.href}?key=${SECRET}`,
      hasDeadLetters: true,
      entrypoint: { retry: { ...RETRY_ON_FAIL, maxAttempts: 1 } },
      subscription: {
        headers: [{ name: "X-Key", value: SECRET }],
        transform: { headers: [{ name: "TraceParent", value: '"of the transform"' }] },
      },
    }),
    server: { listen: "127.0.0.1:0" },
    host: { name: "edge-7" },
    telemetry: {
      endpoint: collector.endpoint,
      headers: [{ name: "Authorization", value: { env: "COLLECTOR_KEY" } }],
      sampleRatio,
    },
  });
  const env = { COLLECTOR_KEY: SECRET };
  const relay = stack.use(await startRelay({ config: toConfig(0), directory, env }));
  const replays = await openReplays(relay);
  const owned = stack.move();

  /** Its `traceparent` at the callback, in parts. */
  function sentTrace(index: number) {
    const request = receiver.requests[index];
    if (request === undefined) return null;
    const names = request.headers.filter(([name]) => name.toLowerCase() === "traceparent");
    expect(names).toHaveLength(1);
    const [, traceId, spanId, flags] = (headerOf(request, "traceparent") ?? "").split("-");
    return { traceId, spanId, flags };
  }

  return {
    collector,
    receiver,
    relay,
    replays,
    directory,
    sentTrace,
    async publish(traceparent: string | null) {
      const headers = natsHeaders();
      if (traceparent !== null) headers.set("traceparent", traceparent);
      if (traceparent !== null) headers.set("Tracestate", "vendor=1");
      await jetstream(client).publish("orders.new", "{}", { headers });
    },
    async reload(sampleRatio: number) {
      const text = JSON.stringify({ logs: { level: "debug" }, ...toConfig(sampleRatio) });
      await writeFile(join(directory, "relay.config.json"), text);
      const { body } = await replays.call("POST", "/api/reload");
      expect(body.changes).toEqual(["Settings changed: telemetry"]);
    },
    /** Of one trace: the message's spans and those of its attempts, in the order in which they began. */
    async spansOf(traceId: string | undefined, count: number) {
      const own = () => collector.spans().filter((span) => span.traceId === traceId);
      await eventually(() => own().length >= count, {
        what: `${count} spans of ${traceId}`,
        withinMs: 15_000,
      });
      const byStart = (left: CollectedSpan, right: CollectedSpan) =>
        Number(BigInt(left.startTimeUnixNano) - BigInt(right.startTimeUnixNano));
      const of = (kind: number) =>
        own()
          .filter((span) => span.kind === kind)
          .toSorted(byStart);
      return { messages: of(5), attempts: of(3) };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test("messages are traced: with their traceparent or a new one, through retries, dead letter, replay, reload and stop", async () => {
  await using own = await setUp();
  const { receiver, collector, relay, sentTrace } = own;

  // A parent that is sampled: the callback's parent is the span of the attempt, which is a child of the message's.
  await own.publish(`00-${TRACE}-${PARENT}-01`);
  const first = await own.spansOf(TRACE, 2);
  expect(first.messages).toMatchObject([
    {
      parentSpanId: PARENT,
      traceState: "vendor=1",
      name: "process ORDERS",
      attributes: {
        "messaging.system": "nats",
        "relay.ending": "delivered",
        "messaging.client.id": "relay edge-7",
      },
      resource: { "service.name": "relay", "host.name": "edge-7" },
    },
  ]);
  const { url } = receiver;
  expect(first.attempts).toMatchObject([
    {
      parentSpanId: first.messages[0]?.spanId ?? "",
      spanId: sentTrace(0)?.spanId ?? "",
      attributes: { "http.response.status_code": 200, "url.full": url.origin + url.pathname },
    },
  ]);
  expect(sentTrace(0)).toMatchObject({ traceId: TRACE, flags: "01" });
  expect(headerOf(receiver.requests[0] as (typeof receiver.requests)[0], "tracestate")).toBe("vendor=1");

  // One that is not sampled is passed on; without one, and with the ratio 0, one is made.
  await own.publish(`00-${TRACE}-${PARENT}-00`);
  await own.publish(null);
  await eventually(() => receiver.requests.length === 3);
  expect(sentTrace(1)).toEqual({ traceId: TRACE, spanId: PARENT, flags: "00" });
  expect(sentTrace(2)).toMatchObject({ flags: "00" });

  // A retry, a dead letter and its replay stay in the trace that Relay began.
  await own.reload(1);
  let answer = 422;
  receiver.respond((_request, index) => (index === 3 ? 429 : answer));
  await own.publish(null);
  await eventually(() => receiver.requests.length === 5, { withinMs: 15_000 });
  const begun = sentTrace(3)?.traceId;
  const failed = await own.spansOf(begun, 3);
  expect(failed.messages).toMatchObject([
    { status: { code: 2 }, attributes: { "relay.ending": "dead-lettered" } },
  ]);
  expect(failed.messages[0]).not.toHaveProperty("parentSpanId");
  expect(failed.attempts.map(({ attributes }) => attributes["error.type"])).toEqual(["429", "422"]);
  answer = 200;
  await own.replays.ended(await own.replays.start());
  const replayed = await own.spansOf(begun, 5);
  expect(replayed.messages.map(({ attributes }) => attributes["relay.ending"])).toEqual([
    "dead-lettered",
    "delivered",
  ]);
  const sent = receiver.requests.slice(3).map((_request, index) => sentTrace(3 + index));
  expect(sent.map((trace) => trace?.traceId)).toEqual([begun, begun, begun]);
  expect(sent.map((trace) => trace?.spanId)).toEqual(replayed.attempts.map(({ spanId }) => spanId));

  // What is said of it, and what is not.
  await eventually(async () => (await readMetric(relay, "relay_spans_exported_total")) === 7);
  expect(await readMetric(relay, "relay_spans_dropped_total")).toBe(0);
  const { stdout } = await runRelay(["status"], { cwd: own.directory, env: { COLLECTOR_KEY: SECRET } });
  expect(stdout).toContain(`traces  7 spans sent to ${collector.endpoint}/v1/traces, 0 dropped`);
  for (const request of collector.requests) {
    expect(headerOf(request, "authorization")).toBe(SECRET);
    expect(request.body.toString()).not.toContain("secret");
  }

  // What is left is exported when the relay stops.
  await own.publish(null);
  await eventually(() => receiver.requests.length === 7);
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(0);
  expect(collector.spans()).toHaveLength(9);
});

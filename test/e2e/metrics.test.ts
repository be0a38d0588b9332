// Metrics of the binary: in Prometheus' format, with the lag of the stream, over a lost connection, and gone with what they tell of.

import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { type Family, parseExposition } from "../support/exposition.ts";
import { isInState, readMetric } from "../support/metrics.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";
import { startScriptedReceiver } from "../support/scripted-receiver.ts";

const LAG = "relay_pending_messages";

async function scrape(relay: RelayProcess): Promise<readonly Family[]> {
  return parseExposition(await (await fetch(`${await relay.url()}/metrics`)).text());
}

async function hasSeriesOf(relay: RelayProcess, subscription: string): Promise<boolean> {
  const samples = (await scrape(relay)).flatMap((family) => family.samples);
  return samples.some(({ labels }) => labels["subscription"] === subscription);
}

/** Of subscriptions with a rate limit, and of ordered ones. */
const OF_SOME: ReadonlySet<string> = new Set([
  "relay_max_requests_per_second",
  "relay_subscription_active",
  "relay_parked_keys",
  "relay_parked_messages",
]);

test("the binary counts what it delivers, and tells how far behind it is", async () => {
  await using nats = await startNatsServer();
  await using receiver = await startScriptedReceiver();
  const client = await nats.connect();
  await addStream(client);
  const js = jetstream(client);
  await using relay = await startRelay({
    config: testConfig({
      natsUrl: nats.url,
      callbackUrl: `${receiver.url}/sub`,
      qos: "AT_LEAST_ONCE",
      hasDeadLetters: true,
      // The last one hangs for as long as the test looks.
      entrypoint: { ordering: { window: 1 }, http: { readTimeout: 120_000 } },
    }),
  });
  for (const answers of [[200], [404], [200], ["hang"]]) {
    await js.publish("orders.a", JSON.stringify({ name: String(answers), answers }));
  }
  for (let i = 0; i < 5; i += 1) await js.publish("orders.a", JSON.stringify({ name: "waiting" }));
  await eventually(async () => (await readMetric(relay, LAG, { subscription: "sub" })) === 5, {
    withinMs: 40_000,
    what: "what is pending, which is read each 15 s",
  });
  expect(await readMetric(relay, "relay_ack_pending_messages", { subscription: "sub" })).toBe(1);
  expect(await readMetric(relay, "relay_messages_total", { ending: "delivered" })).toBe(2);
  expect(await readMetric(relay, "relay_messages_total", { ending: "dead-lettered" })).toBe(1);
  expect(await readMetric(relay, "relay_attempts_total")).toBe(3);
  expect(await readMetric(relay, "relay_attempt_duration_seconds_count")).toBe(3);
  expect(await readMetric(relay, "relay_in_flight_requests")).toBe(1);
  expect(await readMetric(relay, "relay_callback_connections")).toBe(1);
  expect(await readMetric(relay, "relay_held_messages")).toBe(1);
  expect(await readMetric(relay, "relay_oldest_held_seconds")).toBeGreaterThan(0);
  expect(await readMetric(relay, "relay_bucket_usable")).toBe(1);
  expect(await readMetric(relay, "process_resident_memory_bytes")).toBeGreaterThan(10_000_000);
  const families = await scrape(relay);
  const empty = families.filter(({ type, samples }) => type === "gauge" && samples.length === 0);
  expect(empty.map(({ name }) => name).filter((name) => !OF_SOME.has(name))).toEqual([]);
});

test("a lost connection is shown, counted once it is back, and empties nothing", async () => {
  await using nats = await startNatsServer();
  const client = await nats.connect();
  await addStream(client);
  await using relay = await startRelay({
    config: testConfig({ natsUrl: nats.url, callbackUrl: "http://127.0.0.1:9/" }),
  });
  await eventually(async () => (await readMetric(relay, "relay_nats_connected")) === 1);
  expect(await readMetric(relay, "relay_nats_reconnects_total")).toBe(0);
  await nats.kill();
  await eventually(async () => (await readMetric(relay, "relay_nats_connected")) === 0);
  expect(await readMetric(relay, "relay_bucket_usable")).toBe(0);
  await nats.restart();
  await eventually(async () => (await readMetric(relay, "relay_nats_reconnects_total")) === 1);
  await eventually(async () => (await readMetric(relay, "relay_bucket_usable")) === 1);
  expect(await readMetric(relay, "relay_nats_connected")).toBe(1);
});

test("the metrics of a subscription come and go with it", async () => {
  await using nats = await startNatsServer();
  await using receiver = await startScriptedReceiver();
  const client = await nats.connect();
  await addStream(client);
  await using relay = await startRelay({
    config: testConfig({
      natsUrl: nats.url,
      callbackUrl: `${receiver.url}/sub`,
      more: { callbacks: { allow: ["127.0.0.0/8"] } },
    }),
  });
  await eventually(() => isInState(relay, "sub", "running"));
  const url = `${await relay.url()}/api/subscriptions`;
  const made = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      id: "made",
      configuration: { entrypointId: "webhook", callbackUrl: `${receiver.url}/made` },
    }),
  });
  expect(made.status).toBe(201);
  await eventually(() => isInState(relay, "made", "running"));
  await jetstream(client).publish("orders.a", JSON.stringify({ name: "one" }));
  await eventually(
    async () => (await readMetric(relay, "relay_messages_total", { subscription: "made" })) === 1,
  );
  expect((await fetch(`${url}/made`, { method: "DELETE" })).status).toBe(204);
  await eventually(async () => !(await hasSeriesOf(relay, "made")));
  expect(await hasSeriesOf(relay, "sub")).toBe(true);
});

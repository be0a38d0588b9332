// Delete markers of nats-server 2.11 and newer: in a stream that is read, and in one of dead letters.

import { jetstream } from "@nats-io/jetstream";
import { headers as createHeaders } from "@nats-io/transport-node";
import { expect, test } from "bun:test";

import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { readMetric } from "../support/metrics.ts";
import { addStream, leaveMarkers, MARKER_CONFIG } from "../support/nats.ts";
import { fetchNatsServer, startNatsServer } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { startRelay } from "../support/relay.ts";

test.each(["NONE", "AUTO", "AT_MOST_ONCE", "AT_LEAST_ONCE"] as const)(
  "a delete marker is acknowledged and counted, and never sent (%s)",
  async (qos) => {
    await using nats = await startNatsServer({ binary: fetchNatsServer() });
    await using receiver = await startReceiver();
    const client = await nats.connect();
    await addStream(client, { max_msgs_per_subject: 1, ...MARKER_CONFIG });
    await leaveMarkers(client, "ORDERS", ["orders.a", "orders.b", "orders.c"]);
    await jetstream(client).publish("orders.d", "");
    await jetstream(client).publish("orders.e", "whole");
    const config = testConfig({
      natsUrl: nats.url,
      callbackUrl: receiver.url.href,
      qos,
      hasDeadLetters: true,
    });
    await using relay = await startRelay({ config });
    await eventually(() => receiver.requests.length === 2);
    expect(receiver.requests.map(({ body }) => body.toString()).toSorted()).toEqual(["", "whole"]);
    expect(await readMetric(relay, "relay_messages_total", { ending: "marker" })).toBe(3);
    await eventually(async () => (await readMetric(relay, "relay_ack_pending_messages")) === 0);
    expect(receiver.requests).toHaveLength(2);
  },
);

test("a message that is rejected again is stored again where a marker has taken the place of its letter", async () => {
  await using nats = await startNatsServer({ binary: fetchNatsServer() });
  await using receiver = await startReceiver(() => 404);
  const client = await nats.connect();
  await addStream(client);
  await addStream(client, {
    name: "DLQ",
    subjects: ["dlq.>"],
    max_msgs_per_subject: 1,
    max_age: 1_000_000_000,
    ...MARKER_CONFIG,
  });
  const manager = await jetstream(client).jetstreamManager();
  const last = () => manager.streams.getMessage("DLQ", { last_by_subj: "dlq.>" });
  const own = createHeaders();
  own.set("X-Own", "kept");
  await jetstream(client).publish("orders.a", "body", { headers: own });
  const config = testConfig({
    natsUrl: nats.url,
    callbackUrl: receiver.url.href,
    qos: "AT_LEAST_ONCE",
    hasDeadLetters: true,
  });
  await using relay = await startRelay({ config });
  await eventually(async () => (await last())?.header.has("Nats-Marker-Reason") === true, {
    what: "a marker in place of the letter",
  });
  const marker = (await last())?.seq ?? 0;
  // Long enough to look at it.
  await manager.streams.update("DLQ", { max_age: 3_600_000_000_000 });
  const answer = await fetch(`${await relay.url()}/api/subscriptions/sub/seek`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ to: "all" }),
  });
  expect(answer.status).toBe(200);
  await eventually(() => receiver.requests.length === 2);
  await eventually(async () => ((await last())?.seq ?? 0) > marker, {
    what: "a letter in place of the marker",
  });
  const letter = await last();
  expect(letter?.string()).toBe("body");
  expect(letter?.header.get("X-Own")).toBe("kept");
});

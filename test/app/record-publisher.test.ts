// Records as CloudEvents on NATS: where they go, what they hold, what is dropped, and what it costs when it is off.

import { expect, test } from "bun:test";
import { createRecordPublisher } from "#app/record-publisher.ts";
import { openConnection } from "#nats/connection.ts";
import { toRecord } from "../delivery-log/records.ts";
import { eventually } from "../support/eventually.ts";
import { createRecordingLogger } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";

async function setUp(subject: string | null) {
  const server = await startNatsServer({ jetstream: false });
  const closing = new AbortController();
  const connection = openConnection(
    { servers: [server.url], auth: { kind: "none" }, tls: null, inboxPrefix: "_INBOX", name: "relay edge-7" },
    { logger: createRecordingLogger(), signal: closing.signal },
  );
  await connection.ready(closing.signal);
  const client = await server.connect();
  const received: { subject: string; event: Record<string, unknown> }[] = [];
  client.subscribe(">", {
    callback: (_error, msg) => void received.push({ subject: msg.subject, event: msg.json() }),
  });
  await client.flush();
  const publisher = createRecordPublisher({
    host: "edge.7",
    subject: () => subject,
    connection: () => connection,
  });
  return {
    publisher,
    received,
    connection,
    async [Symbol.asyncDispose]() {
      publisher.close();
      await connection.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

test("createRecordPublisher() sends each record to <subject>.<host>.<subscription>, as a CloudEvent without bodies", async () => {
  await using own = await setUp("relay.deliveries");
  const request = { headers: null, body: Buffer.from("payload"), isCut: false };
  own.publisher.take(toRecord({ subscription: "billing", status: 503, request }));
  await eventually(() => own.received.length === 1);
  expect(own.received).toMatchObject([
    {
      subject: "relay.deliveries.edge_7.billing",
      event: {
        specversion: "1.0",
        type: "relay.delivery",
        source: "/relay/edge.7",
        subject: "billing",
        data: { host: "edge.7", subscription: "billing", status: 503 },
      },
    },
  ]);
  expect(JSON.stringify(own.received)).not.toContain("payload");
});

test("createRecordPublisher() drops and counts what its queue does not hold, and what comes while NATS is away", async () => {
  await using own = await setUp("relay.deliveries");
  for (let number = 0; number < 2100; number += 1) own.publisher.take(toRecord({}));
  expect(own.publisher.dropped()).toBe(100);
  await eventually(() => own.received.length === 2000);
  await own.connection.close();
  own.publisher.take(toRecord({}));
  await eventually(() => own.publisher.dropped() === 101);
});

test("createRecordPublisher() publishes nothing unless it is told where to", async () => {
  await using own = await setUp(null);
  own.publisher.take(toRecord({}));
  own.publisher.close();
  expect(own.publisher.dropped()).toBe(0);
  expect(own.received).toEqual([]);
});

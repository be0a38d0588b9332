// What a seek would do, counted by the server: with filters, and without leaving a consumer behind.

import { expect, test } from "bun:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { toConsumerSettings } from "#consumer/config.ts";
import { alignConsumer } from "#consumer/consumer.ts";
import { previewSeek } from "#consumer/seek-preview.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream, connected, publishMany } from "../support/nats.ts";
import { subscription } from "../inspect/inspections.ts";

test("previewSeek() counts what would be delivered, by the filters of the subscription", async () => {
  await using nats = await startNatsServer();
  const client = await nats.connect();
  await addStream(client);
  await publishMany(client, "orders.a", 10);
  await publishMany(client, "orders.b", 5);
  await using connection = await connected(nats.url);
  const settings = toConsumerSettings(
    subscription({ filterSubjects: ["orders.a"], deliverPolicy: { kind: "all" } }),
  );
  const preview = (start: Parameters<typeof previewSeek>[2]) => previewSeek(connection, settings, start);
  expect(await preview({ kind: "all" })).toEqual({
    position: null,
    sequence: 1,
    lastSequence: 15,
    waiting: null,
    afterwards: 10,
    changes: true,
  });
  await alignConsumer(connection, settings);
  const consumer = await jetstream(client).consumers.get("ORDERS", settings.durable);
  for (let count = 0; count < 4; count += 1) (await consumer.next())?.ack();
  await eventually(async () => (await preview({ kind: "new" })).waiting === 6);
  expect(await preview({ kind: "new" })).toMatchObject({
    position: 5,
    sequence: 16,
    waiting: 6,
    afterwards: 0,
    changes: true,
  });
  expect(await preview({ kind: "start-sequence", sequence: 3 })).toMatchObject({
    sequence: 3,
    afterwards: 8,
  });
  const stay = { waiting: 6, afterwards: 6, changes: false };
  expect(await preview({ kind: "start-sequence", sequence: 5 })).toMatchObject(stay);
  // A message after the position may be among those that wait, or not: it is a move.
  expect(await preview({ kind: "start-sequence", sequence: 6 })).toMatchObject({ changes: true });
  expect(await preview({ kind: "start-time", time: new Date(0) })).toMatchObject({ afterwards: 10 });
  for (let count = 0; count < 6; count += 1) (await consumer.next())?.ack();
  const atEnd = { waiting: 0, afterwards: 0, changes: false };
  await eventually(async () => (await preview({ kind: "new" })).waiting === 0);
  expect(await preview({ kind: "new" })).toMatchObject(atEnd);
  const { consumers } = await jetstreamManager(client);
  await eventually(async () => (await consumers.list("ORDERS").next()).length === 1);
});

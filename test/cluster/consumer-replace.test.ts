// A replicated consumer that is made anew on a replicated stream loses nothing that waits for it.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";

import type { DeliverPolicy } from "#delivery/subscription.ts";
import type { ConsumerSettings } from "#consumer/config.ts";
import { moveConsumer } from "#consumer/move.ts";
import { alignConsumer } from "#consumer/consumer.ts";

import { eventually } from "../support/eventually.ts";
import { fetchNatsServer, startNatsCluster } from "../support/nats-server.ts";
import { addStream, connected, publishMany } from "../support/nats.ts";

const DURABLE = "relay-billing";

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

function wanted(stream: string): ConsumerSettings {
  return {
    durable: DURABLE,
    acks: true,
    maxAckPending: 50,
    source: { domain: null, stream, filterSubjects: [], deliverPolicy: { kind: "all" }, ackWaitMs: 30_000 },
  };
}

test("moveConsumer() and alignConsumer() on replicated streams: what waits from the new place on is delivered", async () => {
  await using cluster = await startNatsCluster({ binary: fetchNatsServer() });
  const [first, second] = cluster.servers;
  if (first === undefined || second === undefined) throw new Error("No cluster");
  await using connection = await connected(first.url);
  await using other = await connected(second.url);
  const client = await first.connect();
  const manager = await jetstreamManager(client);

  /** `count` as a rule: the server of the consumer may hear of the last message later than that of the stream. */
  async function take(stream: string, count: number): Promise<number[]> {
    const consumer = await jetstream(client).consumers.get(stream, DURABLE);
    const pending = await eventually(async () => {
      const { num_pending } = await consumer.info();
      return num_pending >= count && num_pending;
    });
    const sequences: number[] = [];
    for await (const message of await consumer.fetch({ max_messages: pending, expires: 5000 })) {
      sequences.push(message.seq);
      await message.ackAck();
    }
    return sequences;
  }

  const names = async (stream: string) => {
    const found: string[] = [];
    for await (const { name } of manager.consumers.list(stream)) found.push(name);
    return found;
  };

  for (const retention of ["interest", "limits"] as const) {
    const seeks: readonly [DeliverPolicy, number][] = [
      [{ kind: "start-sequence", sequence: 5 }, 5],
      [{ kind: "all" }, 1],
      [{ kind: "new" }, 11],
      [{ kind: "last" }, 10],
    ];
    for (const [start, place] of seeks) {
      const stream = `${retention}-${start.kind}`;
      await addStream(client, { name: stream, subjects: [`${stream}.>`], retention, num_replicas: 3 });
      await alignConsumer(connection, wanted(stream));
      await publishMany(client, `${stream}.x`, 10);
      await Promise.all([
        moveConsumer(connection, wanted(stream), start),
        alignConsumer(other, wanted(stream)),
      ]);
      await publishMany(client, `${stream}.x`, 1);
      const waiting = range(place, 11);
      expect(await take(stream, waiting.length)).toEqual(waiting);
      await eventually(async () => (await names(stream)).join() === DURABLE);
    }
    const stream = `${retention}-acks`;
    await addStream(client, { name: stream, subjects: [`${stream}.>`], retention, num_replicas: 3 });
    await alignConsumer(connection, wanted(stream));
    await publishMany(client, `${stream}.x`, 10);
    await alignConsumer(connection, { ...wanted(stream), acks: false });
    await alignConsumer(connection, wanted(stream));
    expect(await take(stream, 10)).toEqual(range(1, 10));
  }
}, 240_000);

// Durable consumers brought to what a subscription asks for, on a real server.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { jetstream, jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { nanos, type NatsConnection } from "@nats-io/transport-node";

import { parseNatsTimestamp } from "#delivery/message.ts";
import type { DeliverPolicy } from "#delivery/subscription.ts";
import type { ConsumerSettings } from "#consumer/config.ts";
import { alignConsumer } from "#consumer/consumer.ts";
import { moveConsumer } from "#consumer/move.ts";
import { deleteConsumer, readConsumer } from "#consumer/info.ts";
import type { StreamMessage } from "#consumer/position.ts";
import { readStream } from "#nats/stream.ts";

import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import {
  addStream,
  connected,
  openTestConnection,
  publishMany,
  type TestConnection,
} from "../support/nats.ts";

let server: NatsServer;
let connection: TestConnection;
let client: NatsConnection;

beforeAll(async () => {
  server = await startNatsServer();
  connection = await connected(server.url);
  client = await server.connect();
});

afterAll(async () => {
  await connection.close();
  await server[Symbol.asyncDispose]();
});

interface Wanted {
  readonly stream?: string;
  readonly durable?: string;
  readonly acks?: boolean;
  readonly maxAckPending?: number;
  readonly filterSubjects?: readonly string[];
  readonly deliverPolicy?: DeliverPolicy;
  readonly ackWaitMs?: number;
}

function wanted(changes: Wanted = {}): ConsumerSettings {
  return {
    durable: changes.durable ?? "relay-billing",
    acks: changes.acks ?? true,
    maxAckPending: changes.maxAckPending ?? 50,
    source: {
      domain: null,
      stream: changes.stream ?? "ORDERS",
      filterSubjects: changes.filterSubjects ?? [],
      deliverPolicy: changes.deliverPolicy ?? { kind: "all" },
      ackWaitMs: changes.ackWaitMs ?? 30_000,
    },
  };
}

/**
 * A fresh stream with `count` messages on `<name in lower case>.new`. Each test has its own name: nats-server 2.12 was
 * seen to give a consumer the place of its namesake in a stream of the same name that was deleted just before.
 */
async function freshStream(
  name: string,
  { count = 10, ...config }: Partial<StreamConfig> & { count?: number } = {},
) {
  const manager = await jetstreamManager(client);
  await manager.streams.delete(name).catch(() => undefined);
  const prefix = name.toLowerCase();
  await addStream(client, { name, subjects: [`${prefix}.>`], ...config });
  await publishMany(client, `${prefix}.new`, count);
  const info = await readStream(connection, { domain: null, stream: name });
  return { manager, created: info?.created ?? "" };
}

/** Takes and acks `count` messages; returns their sequences. */
async function consumeSome(stream: string, durable: string, count: number): Promise<number[]> {
  const consumer = await jetstream(client).consumers.get(stream, durable);
  const messages = await consumer.fetch({ max_messages: count, expires: 1000 });
  const sequences: number[] = [];
  for await (const message of messages) {
    sequences.push(message.seq);
    await message.ackAck();
  }
  return sequences;
}

describe("alignConsumer()", () => {
  test("alignConsumer() creates a missing consumer, then keeps it", async () => {
    const { manager, created } = await freshStream("A1");
    const settings = wanted({ stream: "A1", filterSubjects: ["a1.new"], maxAckPending: 7, ackWaitMs: 5000 });
    const first = await alignConsumer(connection, settings);
    expect(first).toMatchObject({
      change: "created",
      streamCreated: created,
      lastSequence: 10,
      ackFloor: 0,
      notes: [],
    });
    const { config } = await manager.consumers.info("A1", "relay-billing");
    expect(config).toMatchObject({
      durable_name: "relay-billing",
      ack_policy: "explicit",
      ack_wait: nanos(5000),
      max_ack_pending: 7,
      max_deliver: -1,
      filter_subject: "a1.new",
      deliver_policy: "all",
      num_replicas: 0,
    });
    expect(await alignConsumer(connection, settings)).toMatchObject({ change: "kept", notes: [] });
  });

  test.each([
    ["all", { kind: "all" }, 1],
    ["new", { kind: "new" }, 11],
    ["last", { kind: "last" }, 10],
    ["a start sequence", { kind: "start-sequence", sequence: 4 }, 4],
    ["a start time", { kind: "start-time", time: new Date(0) }, 1],
  ] as const)("alignConsumer() starts with deliver policy %s", async (name, deliverPolicy, first) => {
    const stream = `A2-${name.replaceAll(" ", "-")}`;
    await freshStream(stream);
    await alignConsumer(connection, wanted({ stream, deliverPolicy }));
    await publishMany(client, `${stream.toLowerCase()}.new`, 1);
    expect(await consumeSome(stream, "relay-billing", 1)).toEqual([first]);
  });

  test("alignConsumer() updates in place what it can, and undoes changes of others", async () => {
    const { manager } = await freshStream("A3");
    await alignConsumer(connection, wanted({ stream: "A3" }));
    await consumeSome("A3", "relay-billing", 3);
    await manager.consumers.update("A3", "relay-billing", { max_deliver: 3 });
    const changed = wanted({ stream: "A3", filterSubjects: ["a3.new"], maxAckPending: 1, ackWaitMs: 9000 });
    const after = await alignConsumer(connection, changed);
    expect(after).toMatchObject({ change: "updated", ackFloor: 3 });
    const { config } = await manager.consumers.info("A3", "relay-billing");
    expect(config).toMatchObject({ max_deliver: -1, max_ack_pending: 1, filter_subject: "a3.new" });
    expect(await alignConsumer(connection, changed)).toMatchObject({ change: "kept" });
    const back = await alignConsumer(connection, wanted({ stream: "A3" }));
    expect(back.change).toBe("updated");
    expect((await manager.consumers.info("A3", "relay-billing")).config.filter_subject ?? "").toBe("");
  });

  test("alignConsumer() re-creates the consumer at its last position when acks are turned off or on", async () => {
    await freshStream("A4");
    await alignConsumer(connection, wanted({ stream: "A4" }));
    await consumeSome("A4", "relay-billing", 3);
    const off = await alignConsumer(connection, wanted({ stream: "A4", acks: false }));
    expect(off.change).toBe("recreated");
    expect(off.notes.join()).toContain("after sequence 3");
    const consumer = await jetstream(client).consumers.get("A4", "relay-billing");
    expect((await consumer.next())?.seq).toBe(4);
    const on = await alignConsumer(connection, wanted({ stream: "A4" }));
    expect(on).toMatchObject({ change: "recreated", ackFloor: 4 });
    expect(await consumeSome("A4", "relay-billing", 1)).toEqual([5]);
  });

  test.each([
    [["a9.x"], ["a9.>"]],
    [["a9.x"], []],
    [["a9.y"], ["a9.x"]],
    [["a9.>"], ["a9.*"]],
    [["a9.>"], ["a9.x"]],
    [["a9.*"], []],
    [[], ["a9.*"]],
    [[], ["a9.x"]],
  ])("alignConsumer() changes filters %j to %j, and delivers new messages", async (before, after) => {
    await freshStream("A9", { count: 0 });
    await alignConsumer(connection, wanted({ stream: "A9", filterSubjects: before }));
    await alignConsumer(connection, wanted({ stream: "A9", filterSubjects: after }));
    const { seq } = await jetstream(client).publish("a9.x", "after");
    const consumer = await jetstream(client).consumers.get("A9", "relay-billing");
    expect((await consumer.next({ expires: 2000 }))?.seq).toBe(seq);
  });

  test("alignConsumer() re-creates a consumer without a readable position at Relay's own position", async () => {
    const { created } = await freshStream("A10", { count: 0 });
    const before = wanted({ stream: "A10", acks: true, deliverPolicy: { kind: "new" } });
    await alignConsumer(connection, before);
    await publishMany(client, "a10.new", 2);
    const consumer = await jetstream(client).consumers.get("A10", "relay-billing");
    expect((await consumer.next({ expires: 2000 }))?.seq).toBe(1); // And not acknowledged.
    const after = { ...before, acks: false };
    await alignConsumer(connection, after, {
      position: { streamCreated: created, sequence: 0, ackFloor: null, messages: () => [] },
    });
    expect((await consumer.next({ expires: 2000 }))?.seq).toBe(1);
  });

  test("alignConsumer() says that a changed deliver policy affects new consumers only", async () => {
    await freshStream("A5");
    await alignConsumer(connection, wanted({ stream: "A5" }));
    const changed = await alignConsumer(connection, wanted({ stream: "A5", deliverPolicy: { kind: "new" } }));
    expect(changed.change).toBe("kept");
    expect(changed.notes.join()).toContain("created with all");
  });

  test.each([
    ["in the middle", 6, 7],
    ["at the end", 10, 11],
    ["at the start", 0, 1],
  ])("alignConsumer() re-creates a deleted consumer at a position %s", async (_, sequence, next) => {
    const stream = `A6-${sequence}`;
    const { created } = await freshStream(stream);
    const position = { streamCreated: created, sequence, ackFloor: null, messages: () => [] };
    const aligned = await alignConsumer(connection, wanted({ stream }), { position });
    expect(aligned.change).toBe("recreated");
    expect(aligned.ackFloor).toBe(next - 1);
    await publishMany(client, `${stream.toLowerCase()}.new`, 1);
    expect(await consumeSome(stream, "relay-billing", 1)).toEqual([next]);
  });

  test("alignConsumer() knows the position of a consumer of new messages before its first ack", async () => {
    await freshStream("A12");
    const settings = wanted({ stream: "A12", deliverPolicy: { kind: "new" } });
    expect((await alignConsumer(connection, settings)).ackFloor).toBe(10);
    expect((await alignConsumer(connection, settings)).ackFloor).toBe(10);
  });

  test.each([
    ["new", { count: 0, next: 1 }],
    ["new", { count: 3, next: 4 }],
    ["last", { count: 0, next: 1 }],
    ["last", { count: 1, next: 1 }],
    ["last", { count: 3, next: 3 }],
  ] as const)(
    "alignConsumer() re-creates one of %s that nobody acked where it was: %j",
    async (kind, expected) => {
      const stream = `A13-${kind}-${expected.count}`;
      const { created } = await freshStream(stream, { count: expected.count });
      const filterSubjects = [`${stream.toLowerCase()}.new`];
      const settings = wanted({ stream, deliverPolicy: { kind }, filterSubjects });
      const made = await alignConsumer(connection, settings);
      expect(made).toMatchObject({ change: "created", ackFloor: expected.next - 1 });
      await publishMany(client, `${stream.toLowerCase()}.new`, 5);
      await deleteConsumer(connection, { domain: null, stream, durable: "relay-billing" });
      const again = await alignConsumer(connection, settings, {
        position: {
          streamCreated: created,
          sequence: made.ackFloor,
          ackFloor: null,
          messages: () => [],
        },
      });
      expect(again).toMatchObject({ change: "recreated", notes: [] });
      expect(await consumeSome(stream, "relay-billing", 1)).toEqual([expected.next]);
    },
  );

  test("alignConsumer() does not know the start of a consumer of new messages that has delivered, but has no ack", async () => {
    const { created, manager } = await freshStream("A14", { count: 0 });
    const settings = wanted({ stream: "A14", deliverPolicy: { kind: "new" } });
    await alignConsumer(connection, settings);
    await publishMany(client, "a14.new", 2);
    await (await jetstream(client).consumers.get("A14", "relay-billing")).next({ expires: 1000 });
    expect((await alignConsumer(connection, settings)).ackFloor).toBeNull();
    await manager.consumers.delete("A14", "relay-billing");
    const again = await alignConsumer(connection, settings, {
      position: { streamCreated: created, sequence: null, ackFloor: null, messages: () => [] },
    });
    expect(again.change).toBe("created");
    expect(again.notes.join()).toContain("starts with deliver policy new again");
  });

  test.each([
    ["all", { kind: "all" }],
    ["new", { kind: "new" }],
    ["last", { kind: "last" }],
    ["a start sequence", { kind: "start-sequence", sequence: 1000 }],
    ["a start time", { kind: "start-time", time: new Date(Date.now() + 3_600_000) }],
  ] as const)(
    "alignConsumer() reads a stream that was made anew from its beginning, also under deliver policy %s",
    async (name, deliverPolicy) => {
      const stream = `A7-${name.replaceAll(" ", "-")}`;
      const { created } = await freshStream(stream);
      await freshStream(stream, { count: 2 });
      const position = { streamCreated: created, sequence: 8, ackFloor: null, messages: () => [] };
      const aligned = await alignConsumer(connection, wanted({ stream, deliverPolicy }), { position });
      expect(aligned).toMatchObject({ change: "created", ackFloor: 0 });
      expect(aligned.notes.join()).toContain("from its beginning");
      expect(await consumeSome(stream, "relay-billing", 2)).toEqual([1, 2]);
    },
  );

  test("alignConsumer() starts at the end of the stream if the start sequence is beyond it, and logs it", async () => {
    await freshStream("A15");
    const deliverPolicy = { kind: "start-sequence", sequence: 1000 } as const;
    const aligned = await alignConsumer(connection, wanted({ stream: "A15", deliverPolicy }));
    expect(aligned).toMatchObject({ change: "created", ackFloor: 10 });
    expect(aligned.notes.join()).toContain("Stream A15 ends at 10, before start sequence 1000");
    await publishMany(client, "a15.new", 1);
    expect(await consumeSome("A15", "relay-billing", 1)).toEqual([11]);
  });

  describe("alignConsumer() with a stored position", () => {
    async function messagesOf(stream: string, sequences: readonly number[]): Promise<StreamMessage[]> {
      const { streams } = await jetstreamManager(client);
      const found = await Promise.all(sequences.map((seq) => streams.getMessage(stream, { seq })));
      return found.map((message, index) => ({
        sequence: sequences[index] ?? 0,
        timestampNanos: parseNatsTimestamp(message?.timestamp ?? "") ?? 0n,
      }));
    }

    const later = ({ sequence, timestampNanos }: StreamMessage) => ({
      sequence,
      timestampNanos: timestampNanos + 1n,
    });

    test.each([
      ["goes on where all of them are there", { known: [3, 6], other: [], end: 10 }, "recreated", 8],
      [
        "goes on after the newest that is there",
        { known: [3, 4, 5], other: [6, 7], end: 10 },
        "recreated",
        6,
      ],
      [
        "goes on after the newest that is there, at an end",
        { known: [9, 10], other: [], end: 10 },
        "recreated",
        11,
      ],
      ["begins anew where none is there", { known: [], other: [6, 7], end: 10 }, "created", 1],
    ] as const)("alignConsumer() %s", async (name, { known, other, end }, change, next) => {
      for (const isSameStream of [true, false]) {
        const stream = `A16-${Bun.hash.crc32(name)}-${isSameStream}`;
        const { created } = await freshStream(stream, { count: end });
        const messages = [
          ...(await messagesOf(stream, known)),
          ...(await messagesOf(stream, other)).map(later),
        ];
        const sequence = known.at(-1) === 10 ? 50 : 7;
        const streamCreated = isSameStream ? created : new Date(0).toISOString();
        const position = { streamCreated, sequence, ackFloor: null, messages: () => messages };
        const settings = wanted({ stream, deliverPolicy: { kind: "new" } });
        const aligned = await alignConsumer(connection, settings, { position });
        expect(aligned).toMatchObject({ change, ackFloor: next - 1 });
        await publishMany(client, `${stream.toLowerCase()}.new`, 1);
        expect(await consumeSome(stream, "relay-billing", 1)).toEqual([next]);
      }
    });

    test("alignConsumer() trusts the position although its messages were deleted since", async () => {
      const { created, manager } = await freshStream("A17");
      const messages = await messagesOf("A17", [7]);
      await manager.streams.deleteMessage("A17", 7);
      const position = { streamCreated: created, sequence: 7, ackFloor: null, messages: () => messages };
      const aligned = await alignConsumer(connection, wanted({ stream: "A17" }), { position });
      expect(aligned).toMatchObject({ change: "recreated", continuity: { kind: "unknown" } });
      expect(await consumeSome("A17", "relay-billing", 1)).toEqual([8]);
    });

    test("alignConsumer() re-creates a consumer that stands in the lost tail of its stream", async () => {
      const { created } = await freshStream("A18");
      const settings = wanted({ stream: "A18" });
      await alignConsumer(connection, settings);
      await consumeSome("A18", "relay-billing", 10);
      const messages = [
        ...(await messagesOf("A18", [5, 6])),
        ...(await messagesOf("A18", [9, 10])).map(later),
      ];
      const position = { streamCreated: created, sequence: 10, ackFloor: null, messages: () => messages };
      const aligned = await alignConsumer(connection, settings, { position });
      expect(aligned).toMatchObject({ change: "recreated", ackFloor: 6 });
      expect(await consumeSome("A18", "relay-billing", 1)).toEqual([7]);
    });

    test("alignConsumer() keeps a consumer that was restored together with its stream", async () => {
      const { created } = await freshStream("A19");
      const settings = wanted({ stream: "A19" });
      await alignConsumer(connection, settings);
      await consumeSome("A19", "relay-billing", 6);
      const messages = (await messagesOf("A19", [9, 10])).map(later);
      const position = { streamCreated: created, sequence: 10, ackFloor: null, messages: () => messages };
      const aligned = await alignConsumer(connection, settings, { position });
      expect(aligned).toMatchObject({
        change: "kept",
        ackFloor: 6,
        continuity: { kind: "cut", sequence: 0 },
      });
    });

    test("alignConsumer() waits until a re-created mirror has caught up", async () => {
      const { manager } = await freshStream("A20");
      const mirror = { name: "A20-MIRROR", mirror: { name: "A20" }, subjects: [] };
      await manager.streams.add(mirror);
      await eventually(async () => (await manager.streams.info("A20-MIRROR")).state.last_seq === 10);
      const { created } = await manager.streams.info("A20-MIRROR");
      const messages = await messagesOf("A20-MIRROR", [6]);
      const position = { streamCreated: created, sequence: 6, ackFloor: null, messages: () => messages };
      await manager.streams.delete("A20-MIRROR");
      await manager.streams.add(mirror);
      const aligned = await eventually(async () =>
        alignConsumer(connection, wanted({ stream: "A20-MIRROR" }), { position }),
      );
      expect(aligned).toMatchObject({ change: "recreated", ackFloor: 6 });
      expect(aligned.streamCreated).not.toBe(created);
      expect(await consumeSome("A20-MIRROR", "relay-billing", 1)).toEqual([7]);
    });
  });

  test("alignConsumer() re-creates a consumer of a work queue", async () => {
    const { created } = await freshStream("A8", { retention: "workqueue" });
    const settings = wanted({ stream: "A8" });
    await alignConsumer(connection, settings);
    await consumeSome("A8", "relay-billing", 3);
    await deleteConsumer(connection, { domain: null, stream: "A8", durable: "relay-billing" });
    await alignConsumer(connection, settings, {
      position: { streamCreated: created, sequence: 3, ackFloor: null, messages: () => [] },
    });
    expect(await consumeSome("A8", "relay-billing", 1)).toEqual([4]);
  });

  test.each([
    [
      "a filter outside of the stream",
      {},
      wanted({ stream: "A9", filterSubjects: ["other.>"] }),
      "no subject other.>",
    ],
    [
      "no acks on a work queue",
      { retention: "workqueue" },
      wanted({ stream: "A9", acks: false }),
      "needs acks",
    ],
    [
      "new on a work queue",
      { retention: "workqueue" },
      wanted({ stream: "A9", deliverPolicy: { kind: "new" } }),
      "deliver all",
    ],
  ] as const)("alignConsumer() refuses %s", async (_, config, settings, reason) => {
    await freshStream("A9", { ...config });
    const error = await alignConsumer(connection, settings).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "consumer-refused" });
    expect(String(error)).toContain("Cannot consume A9 as relay-billing: ");
    expect(String(error)).toContain(reason);
  });

  test("alignConsumer() uses several filters if the server supports them, else names the version that does", async () => {
    const { manager } = await freshStream("A10");
    const settings = wanted({ stream: "A10", filterSubjects: ["a10.b", "a10.a"] });
    const isOld = (connection.status().serverVersion ?? "").startsWith("2.9.");
    const result = await alignConsumer(connection, settings).catch((thrown: unknown) => thrown);
    if (isOld) {
      expect(result).toMatchObject({ code: "consumer-refused" });
      expect(String(result)).toContain("2.10 or newer");
      return;
    }
    expect(result).toMatchObject({ change: "created" });
    expect((await manager.consumers.info("A10", "relay-billing")).config.filter_subjects).toEqual([
      "a10.a",
      "a10.b",
    ]);
    expect(await alignConsumer(connection, settings)).toMatchObject({ change: "kept" });
    const fewer = wanted({ stream: "A10", filterSubjects: ["a10.a"] });
    expect(await alignConsumer(connection, fewer)).toMatchObject({ change: "updated" });
  });

  test("alignConsumer() distinguishes a missing stream from an absent server", async () => {
    const missing = alignConsumer(connection, wanted({ stream: "NONE" })).catch((thrown: unknown) => thrown);
    expect(await missing).toMatchObject({ code: "stream-missing" });
    expect(String(await missing)).toContain("Cannot consume NONE as relay-billing: stream not found");
    await using absent = openTestConnection("nats://127.0.0.1:1");
    const unreachable = alignConsumer(absent, wanted()).catch((thrown: unknown) => thrown);
    expect(await unreachable).toMatchObject({ code: "nats-unavailable" });
  });

  test("alignConsumer() by many relays at once, with different stored positions, makes one consumer", async () => {
    const { manager, created } = await freshStream("A11");
    await using other = await connected(server.url);
    const run = (sequence: number, using: TestConnection) =>
      alignConsumer(using, wanted({ stream: "A11" }), {
        position: { streamCreated: created, sequence, ackFloor: null, messages: () => [] },
      });
    const all = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => run(n, n % 2 === 0 ? connection : other)));
    expect(new Set(all.map(({ consumerCreated }) => consumerCreated)).size).toBe(1);
    const turned = [1, 2, 3, 4].map((n) =>
      alignConsumer(n % 2 === 0 ? connection : other, wanted({ stream: "A11", acks: false })),
    );
    await Promise.all(turned);
    expect((await manager.consumers.info("A11", "relay-billing")).config.ack_policy).toBe("none");
  });
});

describe("moveConsumer()", () => {
  test("moveConsumer() continues at the new position, and keeps the deliver policy on record", async () => {
    const { manager } = await freshStream("M1");
    await alignConsumer(connection, wanted({ stream: "M1" }));
    await consumeSome("M1", "relay-billing", 8);
    const start = { kind: "start-sequence", sequence: 3 } as const;
    const moved = await moveConsumer(connection, wanted({ stream: "M1" }), start);
    expect(moved).toMatchObject({ change: "created", lastSequence: 10, ackFloor: 2 });
    expect(await consumeSome("M1", "relay-billing", 1)).toEqual([3]);
    const { config } = await manager.consumers.info("M1", "relay-billing");
    expect(config.description).toBe("Relay subscription (deliver policy: all)");
  });

  test("moveConsumer() wins against relays that re-create the consumer at once", async () => {
    const { manager } = await freshStream("M2", { count: 40 });
    const settings = wanted({ stream: "M2" });
    await using other = await connected(server.url);
    for (let sequence = 2; sequence <= 40; sequence += 1) {
      const aligning = [connection, other].map((relay) => alignConsumer(relay, settings));
      await moveConsumer(connection, settings, { kind: "start-sequence", sequence });
      await Promise.all(aligning);
      const { config } = await manager.consumers.info("M2", "relay-billing");
      expect(config.opt_start_seq).toBe(sequence);
    }
  });
});

describe("readConsumer()", () => {
  test("readConsumer() returns the position; null for a missing consumer", async () => {
    await freshStream("R1");
    await alignConsumer(connection, wanted({ stream: "R1" }));
    await consumeSome("R1", "relay-billing", 4);
    const ref = { domain: null, stream: "R1", durable: "relay-billing" };
    const reading = await readConsumer(connection, ref);
    expect(reading).toMatchObject({
      ackFloor: 4,
      deliveredSequence: 4,
      pending: 6,
      ackPending: 0,
      redelivered: 0,
    });
    expect(await readConsumer(connection, { ...ref, durable: "relay-none" })).toBeNull();
    expect(await readConsumer(connection, { ...ref, stream: "NONE" })).toBeNull();
    expect(await deleteConsumer(connection, ref)).toBe(true);
    expect(await deleteConsumer(connection, ref)).toBe(false);
  });
});

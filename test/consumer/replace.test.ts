// A durable consumer that is made anew loses nothing that waits for it, on any stream, wherever its relay is killed, and is not
// touched where that cannot be done.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import {
  jetstream,
  jetstreamManager,
  type JetStreamManager,
  type RetentionPolicy,
  type StreamConfig,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";

import type { DeliverPolicy } from "#delivery/subscription.ts";
import type { Connection } from "#nats/connection.ts";
import type { ConsumerSettings } from "#consumer/config.ts";
import { isPlaceholder } from "#consumer/placeholder.ts";
import { alignConsumer } from "#consumer/consumer.ts";
import { moveConsumer } from "#consumer/move.ts";

import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream, connected, publishMany, type TestConnection } from "../support/nats.ts";

let server: NatsServer;
let connection: TestConnection;
let client: NatsConnection;
let manager: JetStreamManager;

beforeAll(async () => {
  server = await startNatsServer();
  connection = await connected(server.url);
  client = await server.connect();
  manager = await jetstreamManager(client);
});

afterAll(async () => {
  await connection.close();
  await server[Symbol.asyncDispose]();
});

const DURABLE = "relay-billing";

function wanted(stream: string, changes: Partial<ConsumerSettings & ConsumerSettings["source"]> = {}) {
  const { acks = true, maxAckPending = 50, filterSubjects = [], deliverPolicy = { kind: "all" } } = changes;
  return {
    durable: DURABLE,
    acks,
    maxAckPending,
    source: { domain: null, stream, filterSubjects, deliverPolicy, ackWaitMs: 30_000 },
  } satisfies ConsumerSettings;
}

/** With a durable that has ten messages, of which it has done the first two. */
async function setUp(stream: string, retention: RetentionPolicy, config: Partial<StreamConfig> = {}) {
  await addStream(client, { name: stream, subjects: [`${stream}.>`], retention, ...config });
  const settings = wanted(stream);
  await alignConsumer(connection, settings);
  await publishMany(client, `${stream}.x`, 10);
  await take(stream, 2);
  return settings;
}

/** The sequences of what comes, each acknowledged: so many, or all that the stream has. */
async function take(stream: string, most = Infinity): Promise<number[]> {
  const consumer = await jetstream(client).consumers.get(stream, DURABLE);
  const { last_seq: last } = (await manager.streams.info(stream)).state;
  const sequences: number[] = [];
  await eventually(async () => {
    // A message that was published just now may not count as pending yet.
    const { num_pending, num_ack_pending, delivered } = await consumer.info();
    const count = Math.min(most - sequences.length, num_pending + num_ack_pending);
    if (count === 0) return sequences.length === most || delivered.stream_seq >= last;
    for await (const message of await consumer.fetch({ max_messages: count, expires: 1000 })) {
      sequences.push(message.seq);
      await message.ackAck();
    }
    return false;
  });
  return sequences;
}

async function consumersOf(stream: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of manager.consumers.list(stream)) names.push(name);
  return names;
}

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

/** The connection of a relay that is killed before its request number `survived` of those that change consumers. */
function killedAfter(survived: number): Connection {
  let changes = 0;
  const request: Connection["request"] = (subject, options) => {
    if (/\.CONSUMER\.(?:CREATE|DELETE)\./.test(subject) && !subject.endsWith("~nobody")) changes += 1;
    if (changes > survived) return Promise.resolve({ kind: "failed", reason: "killed" });
    return connection.request(subject, options);
  };
  return { ...connection, isConnected: true, request };
}

const failure = (promise: Promise<unknown>) => promise.then(() => null).catch((error: unknown) => error);

describe("moveConsumer()", () => {
  const SEEKS: readonly [string, DeliverPolicy, number][] = [
    ["all", { kind: "all" }, 1],
    ["new", { kind: "new" }, 11],
    ["last", { kind: "last" }, 10],
    ["sequence", { kind: "start-sequence", sequence: 5 }, 5],
    ["time", { kind: "start-time", time: new Date(0) }, 1],
  ];

  test.each(SEEKS)(
    "moveConsumer() to %s on a stream that keeps what anybody waits for",
    async (name, start, first) => {
      const stream = `I-${name}`;
      const settings = await setUp(stream, "interest");
      await moveConsumer(connection, settings, start);
      await publishMany(client, `${stream}.x`, 1);
      expect(await take(stream)).toEqual(range(Math.max(first, 3), 11)); // The first two are done, and gone.
      expect(await consumersOf(stream)).toEqual([DURABLE]);
    },
  );

  test.each(SEEKS)("moveConsumer() to %s on a stream that keeps everything", async (name, start, first) => {
    const stream = `L-${name}`;
    const settings = await setUp(stream, "limits");
    await moveConsumer(connection, settings, start);
    await publishMany(client, `${stream}.x`, 1);
    expect(await take(stream)).toEqual(range(first, 11));
  });

  test.each(SEEKS)(
    "moveConsumer() to %s on a work queue, or refused and nothing touched",
    async (name, start) => {
      const stream = `W-${name}`;
      const settings = await setUp(stream, "workqueue");
      const { created } = await manager.consumers.info(stream, DURABLE);
      const error = await failure(moveConsumer(connection, settings, start));
      if (name === "all") expect(error).toBeNull();
      else {
        expect(String(error)).toContain("a work queue delivers all that it holds");
        expect((await manager.consumers.info(stream, DURABLE)).created).toBe(created);
      }
      expect(await take(stream)).toEqual(range(3, 10));
    },
  );

  test("moveConsumer() is refused before it changes anything if the stream allows no more consumers", async () => {
    const settings = await setUp("F1", "interest", { max_consumers: 1 });
    const { created } = await manager.consumers.info("F1", DURABLE);
    const error = await failure(moveConsumer(connection, settings, { kind: "all" }));
    expect(error).toMatchObject({ code: "consumer-refused" });
    expect(String(error)).toContain("maximum consumers limit reached");
    expect((await manager.consumers.info("F1", DURABLE)).created).toBe(created);
    expect(await take("F1")).toEqual(range(3, 10));
  });

  test("moveConsumer() needs no placeholder on a limits stream", async () => {
    const settings = await setUp("F2", "limits", { max_consumers: 1 });
    await moveConsumer(connection, settings, { kind: "start-sequence", sequence: 5 });
    expect(await take("F2")).toEqual(range(5, 10));
  });

  test("moveConsumer() is refused before it changes anything if the account may not delete consumers", async () => {
    const denied = "$JS.API.CONSUMER.DELETE.>";
    const users = `users [ { user: a, password: a }, { user: b, password: b, permissions { publish { deny: "${denied}" } } } ]`;
    const configText = `authorization { ${users} }`;
    await using strict = await startNatsServer({ configText });
    const operator = await strict.connect({ user: "a", pass: "a" });
    const auth = { auth: { kind: "user", username: "b", password: "b" } } as const;
    await using relay = await connected(strict.url, auth);
    await addStream(operator, { name: "P1", subjects: ["P1.>"], retention: "interest" });
    const settings = wanted("P1");
    await alignConsumer(relay, settings);
    const error = await failure(moveConsumer(relay, settings, { kind: "all" }));
    expect(error).toMatchObject({ code: "consumer-refused" });
    expect(String(error)).toContain(`Permissions Violation for Publish to "$JS.API.CONSUMER.DELETE.P1.`);
    const { consumers } = await jetstreamManager(operator);
    const names: string[] = [];
    for await (const { name } of consumers.list("P1")) names.push(name);
    expect(names).toEqual([DURABLE]);
  });

  test("moveConsumer() keeps settings of an operator, such as a pause", async () => {
    const settings = await setUp("F3", "limits");
    const { config } = await manager.consumers.info("F3", DURABLE);
    await client.request(
      `$JS.API.CONSUMER.CREATE.F3.${DURABLE}`,
      JSON.stringify({ stream_name: "F3", config: { ...config, sample_freq: "50" }, action: "update" }),
    );
    await moveConsumer(connection, settings, { kind: "all" });
    expect((await manager.consumers.info("F3", DURABLE)).config.sample_freq).toBe("50");
  });

  test.each(["interest", "limits"] as const)(
    "moveConsumer() by a relay that is killed in the middle loses nothing of a stream with retention %s",
    async (retention) => {
      // 0: before the placeholder; 1: after it; 2: after the durable was deleted; 3: after it was made anew.
      const runs = [0, 1, 2, 3].map(async (survived) => {
        const stream = `K-${retention}-${survived}`;
        const settings = await setUp(stream, retention, {});
        const start = { kind: "start-sequence", sequence: 5 } as const;
        await failure(moveConsumer(killedAfter(survived), settings, start));
        const names = await consumersOf(stream);
        expect(names.some(isPlaceholder)).toBe(survived > 0);
        expect(names.includes(DURABLE)).toBe(survived !== 2);
        await publishMany(client, `${stream}.x`, 1);
        await alignConsumer(connection, settings);
        expect(await take(stream)).toEqual(range(survived < 2 ? 3 : 5, 11));
        expect(await consumersOf(stream)).toEqual([DURABLE]);
      });
      await Promise.all(runs);
    },
    30_000,
  );

  test("moveConsumer() by two relays at once, repeatedly, loses no waiting message", async () => {
    const settings = await setUp("T1", "interest");
    await using other = await connected(server.url);
    const [start, place] = [{ kind: "all" }, { kind: "start-sequence", sequence: 3 }] as const;
    for (let i = 0; i < 10; i += 1) {
      const moves = [moveConsumer(connection, settings, start), moveConsumer(other, settings, place)];
      await Promise.all([...moves, alignConsumer(other, settings), alignConsumer(connection, settings)]);
    }
    expect(await take("T1")).toEqual(range(3, 10));
    expect(await consumersOf("T1")).toEqual([DURABLE]);
  });
});

describe("alignConsumer()", () => {
  test.each(["interest", "limits"] as const)(
    "alignConsumer() turns acks off and on on a stream with retention %s, and nothing that waits is lost",
    async (retention) => {
      const stream = `Q-${retention}`;
      const settings = await setUp(stream, retention);
      expect((await alignConsumer(connection, { ...settings, acks: false })).change).toBe("recreated");
      const consumer = await jetstream(client).consumers.get(stream, DURABLE);
      expect((await consumer.next({ expires: 1000 }))?.seq).toBe(3);
      expect((await alignConsumer(connection, settings)).change).toBe("recreated");
      expect(await take(stream)).toEqual(range(4, 10));
      expect(await consumersOf(stream)).toEqual([DURABLE]);
    },
  );

  test("alignConsumer() widens the filter to a wildcard, and delivers the waiting messages", async () => {
    await addStream(client, { name: "C1", subjects: ["C1.>"], retention: "interest" });
    await alignConsumer(connection, wanted("C1", { filterSubjects: ["C1.x"] }));
    await publishMany(client, "C1.x", 5);
    await take("C1", 2);
    await alignConsumer(connection, wanted("C1", { filterSubjects: ["C1.*"] }));
    await publishMany(client, "C1.y", 1);
    expect(await take("C1")).toEqual(range(3, 6));
  });

  test("alignConsumer() widens the filter on a work queue, unless another consumer overlaps", async () => {
    await addStream(client, { name: "C2", subjects: ["C2.>"], retention: "workqueue" });
    await alignConsumer(connection, wanted("C2", { filterSubjects: ["C2.x"] }));
    await publishMany(client, "C2.x", 5);
    const stranger = { durable_name: "stranger", ack_policy: "explicit", filter_subject: "C2.y" } as const;
    await manager.consumers.add("C2", stranger);
    const wider = wanted("C2", { filterSubjects: ["C2.*"] });
    expect(await failure(alignConsumer(connection, wider))).toMatchObject({ code: "consumer-refused" });
    expect(await take("C2", 2)).toEqual([1, 2]);
    await manager.consumers.delete("C2", "stranger");
    await alignConsumer(connection, wider);
    expect(await take("C2")).toEqual(range(3, 5));
  });

  test("alignConsumer() re-creates an unacknowledged consumer of new messages without skipping any", async () => {
    await addStream(client, { name: "N1", subjects: ["N1.>"], retention: "interest" });
    const settings = wanted("N1", { deliverPolicy: { kind: "new" } });
    await alignConsumer(connection, settings);
    await publishMany(client, "N1.x", 5);
    const consumer = await jetstream(client).consumers.get("N1", DURABLE);
    for (const sequence of [1, 2]) expect((await consumer.next({ expires: 1000 }))?.seq).toBe(sequence);
    await alignConsumer(connection, { ...settings, acks: false });
    expect((await consumer.next({ expires: 1000 }))?.seq).toBe(1);
  });

  test("alignConsumer() stops waiting for another relay's placeholder when its signal aborts", async () => {
    const settings = await setUp("S1", "interest");
    await failure(moveConsumer(killedAfter(1), settings, { kind: "all" }));
    const ending = new AbortController();
    const aligning = failure(alignConsumer(connection, settings, { signal: ending.signal }));
    ending.abort();
    expect(String(await aligning)).toContain("another relay is re-creating it");
  });
});

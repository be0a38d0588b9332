// A mirror that was made anew reports no lag until its first message comes: Relay once took it for a new stream then, and
// repeated everything. That takes milliseconds, so these tests say what the server answers at first.

import { afterAll, beforeAll, expect, test } from "bun:test";

import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";

import { parseNatsTimestamp } from "#delivery/message.ts";
import type { ConsumerSettings } from "#consumer/config.ts";
import { alignConsumer } from "#consumer/consumer.ts";
import { hasCaughtUp } from "#consumer/mirror.ts";
import type { RememberedPosition } from "#consumer/position.ts";
import type { Connection } from "#nats/connection.ts";

import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream, connected, publishMany, type TestConnection } from "../support/nats.ts";

const REF = { domain: null, stream: "MIRROR" };
const MIRROR = { name: "MIRROR", subjects: [], mirror: { name: "ORDERS" } };
const SETTINGS: ConsumerSettings = {
  durable: "relay-billing",
  acks: true,
  maxAckPending: 50,
  source: { ...REF, filterSubjects: [], deliverPolicy: { kind: "all" }, ackWaitMs: 30_000 },
};
const NEVER = new AbortController().signal;

let server: NatsServer;
let connection: TestConnection;
let manager: JetStreamManager;

beforeAll(async () => {
  server = await startNatsServer();
  connection = await connected(server.url);
  const client = await server.connect();
  manager = await jetstreamManager(client);
  await addStream(client);
  await publishMany(client, "orders.new", 10);
  await manager.streams.add(MIRROR);
  await eventually(async () => (await manager.streams.info("MIRROR")).state.last_seq === 10);
});

afterAll(async () => {
  await connection.close();
  await server[Symbol.asyncDispose]();
});

interface MirrorState {
  readonly lag: number;
  /** When it heard from its origin; null: never. */
  readonly heardAt: number | null;
}

/** What the server says of the empty mirror, one state for each answer; null: from now on it says the truth. */
function answering(next: () => MirrorState | null): Connection {
  const request: Connection["request"] = async (subject, ...rest) => {
    const reply = await connection.request(subject, ...rest);
    const state = subject === "$JS.API.STREAM.INFO.MIRROR" && reply.kind === "answered" ? next() : null;
    if (state === null || reply.kind !== "answered") return reply;
    const { lag, heardAt } = state;
    const active = heardAt === null ? -1 : Math.round((performance.now() - heardAt) * 1e6);
    const info = JSON.parse(new TextDecoder().decode(reply.data)) as object;
    const empty = { messages: 0, bytes: 0, first_seq: 0, last_seq: 0 };
    const told = { ...info, state: empty, mirror: { name: "ORDERS", lag, active } };
    return { ...reply, data: new TextEncoder().encode(JSON.stringify(told)) };
  };
  return { ...connection, request };
}

const hearing = (): MirrorState => ({ lag: 0, heardAt: performance.now() });
const receiving = (): MirrorState => ({ lag: 9, heardAt: performance.now() });
const unconnected = (): MirrorState => ({ lag: 0, heardAt: null });

test.each([
  ["true once it heard of its origin again and again", [hearing, hearing, hearing], true],
  ["false before it has reached its origin", [unconnected], false],
  ["false while messages are on their way", [hearing, receiving], false],
  ["false while messages are on their way, seen later", [hearing, hearing, receiving], false],
])("hasCaughtUp() is %s", async (_, states, expected) => {
  const script = [...states];
  const scripted = answering(() => script.shift()?.() ?? null);
  expect(await hasCaughtUp(scripted, REF, NEVER)).toBe(expected);
  expect(script).toEqual([]);
});

test("hasCaughtUp() does not trust the connection alone, and obeys its signal", async () => {
  const heardAt = performance.now();
  const ending = new AbortController();
  let answers = 0;
  const scripted = answering(() => {
    answers += 1;
    if (answers === 4) ending.abort();
    return { lag: 0, heardAt };
  });
  expect(await hasCaughtUp(scripted, REF, ending.signal)).toBe(false);
  expect(answers).toBe(4);
});

async function remember(sequence: number): Promise<RememberedPosition> {
  const stored = await manager.streams.getMessage("MIRROR", { seq: sequence });
  const timestampNanos = parseNatsTimestamp(stored?.timestamp ?? "") ?? 0n;
  const messages = [{ sequence, timestampNanos }];
  return {
    streamCreated: new Date(0).toISOString(),
    sequence,
    ackFloor: sequence,
    messages: () => messages,
  };
}

test("alignConsumer() does not mistake an empty mirror for a new stream", async () => {
  const position = await remember(6);
  const heardAt = performance.now();
  let answers = 0;
  const scripted = answering(() => ((answers += 1) <= 3 ? { lag: 0, heardAt } : null));
  const aligned = await alignConsumer(scripted, SETTINGS, { position });
  expect(aligned).toMatchObject({
    change: "recreated",
    ackFloor: 6,
    continuity: { kind: "intact", sequence: 6 },
  });
  await manager.consumers.delete("MIRROR", "relay-billing");
});

test("alignConsumer() does not trust a mirror that is still catching up", async () => {
  const position = await remember(6);
  const scripted = answering(receiving);
  const error = await alignConsumer(scripted, SETTINGS, { position }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    code: "consumer-refused",
    message: expect.stringContaining("the mirror has not caught up with its origin yet"),
  });
});

test("alignConsumer() treats the mirror of a re-created origin as a new stream", async () => {
  const position = await remember(6);
  const scripted = answering(hearing);
  const aligned = await alignConsumer(scripted, SETTINGS, { position });
  expect(aligned).toMatchObject({ change: "created", continuity: { kind: "cut", sequence: 0 } });
});

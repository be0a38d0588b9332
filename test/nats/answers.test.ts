// Answers that are none: whatever comes in place of what JetStream would say, it is a fault of that request, and a value.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { EVERY_LETTER } from "#delivery/letter.ts";
import { RelayError } from "#lib/errors.ts";
import { openFeed } from "#bucket/feed.ts";
import { readBucketMessage } from "#bucket/message.ts";
import { makeBucketStream } from "#bucket/stream.ts";
import { writeKey } from "#bucket/write.ts";
import type { Connection } from "#nats/connection.ts";
import { deleteConsumer, listConsumers, readConsumer } from "#consumer/info.ts";
import { toConsumerSettings } from "#consumer/config.ts";
import { alignConsumer } from "#consumer/consumer.ts";
import { moveConsumer } from "#consumer/move.ts";
import { openDeadLetters } from "#letters/store.ts";
import { inspectNats } from "#inspect/inspect.ts";
import { openLetters } from "#letters/letters.ts";
import { openReplayLetters } from "#letters/replay.ts";
import { readStream } from "#nats/stream.ts";

import { answerInPlaceOfJetStream, type Lie, liesAbout, RIGHT_ANSWERS } from "../support/false-jetstream.ts";
import { connected, createRecordingLogger, natsSettings, type TestConnection } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { toSubscription } from "../support/subscription.ts";
import { TRUSTING_SIGNER } from "../support/letter-signers.ts";

const SUBSCRIPTION = toSubscription({ id: "sub", qos: "AUTO" });
const SETTINGS = toConsumerSettings(SUBSCRIPTION);
const REF = { domain: null, stream: "ORDERS" };
const ENDPOINT = { name: "letters", domain: null, stream: "ORDERS", subject: "dlq", create: null };
const CREATE = { maxAgeMs: 0, maxBytes: -1, replicas: 1 };
const LETTER = {
  subjectSuffix: "sub.ORDERS.1-a",
  copiedHeaders: [],
  relayHeaders: [],
  body: new TextEncoder().encode("body"),
};
const { signal } = new AbortController();

let server: NatsServer;
let connection: TestConnection;
beforeAll(async () => {
  server = await startNatsServer({ jetstream: false });
  connection = await connected(server.url);
});
afterAll(async () => {
  await connection.close();
  await server[Symbol.asyncDispose]();
});

type Ask = (connection: Connection) => Promise<unknown>;

async function followFeed(asked: Connection): Promise<void> {
  const opened = await openFeed(asked, "relay", { onChange: () => undefined, onCaughtUp: () => undefined });
  if (opened.kind === "open") opened.feed.end("tried");
}

const letters = (asked: Connection) => openLetters(asked, () => [ENDPOINT], TRUSTING_SIGNER);
const storing = (asked: Connection, create: typeof CREATE | null = null) =>
  openDeadLetters(asked, [{ ...ENDPOINT, create }], {
    signer: TRUSTING_SIGNER,
    logger: createRecordingLogger(),
  });
const replaying = (asked: Connection) => openReplayLetters(asked, ENDPOINT, TRUSTING_SIGNER);

const WHOLE = {
  ...REF,
  sequence: 3,
  subject: "dlq.sub.ORDERS.1-a",
  storedAtNanos: 1n,
  headers: [],
  size: 2,
  isGenuine: true,
  unreadableHeaders: 0,
  body: new TextEncoder().encode("hi"),
};

/** `step`: only each so-manieth lie, where a lie is answered by asking again for a second. */
const ASKED: readonly (readonly [call: string, what: string, ask: Ask, step?: number])[] = [
  ["STREAM.INFO", "readStream()", (asked) => readStream(asked, REF)],
  ["STREAM.INFO", "alignConsumer()", (asked) => alignConsumer(asked, SETTINGS), 7],
  ["STREAM.INFO", "check()", (asked) => storing(asked).check(signal)],
  ["STREAM.INFO", "lastSequence()", (asked) => replaying(asked).lastSequence(signal)],
  ["STREAM.INFO", "replace()", (asked) => replaying(asked).replace(WHOLE, [[]], signal)],
  ["STREAM.CREATE", "makeBucketStream()", (asked) => makeBucketStream(asked, "relay", 1)],
  ["CONSUMER.INFO", "readConsumer()", (asked) => readConsumer(asked, { ...REF, durable: "relay-sub" })],
  ["CONSUMER.INFO", "alignConsumer()", (asked) => alignConsumer(asked, SETTINGS), 7],
  ["CONSUMER.CREATE", "moveConsumer()", (asked) => moveConsumer(asked, SETTINGS, { kind: "all" }), 25],
  ["CONSUMER.CREATE", "openFeed()", followFeed],
  ["CONSUMER.LIST", "listConsumers()", (asked) => listConsumers(asked, REF)],
  ["CONSUMER.DELETE", "deleteConsumer()", (asked) => deleteConsumer(asked, { ...REF, durable: "relay-sub" })],
  ["STREAM.MSG.GET", "readBucketMessage()", (asked) => readBucketMessage(asked, "relay", { seq: 1 })],
  ["STREAM.MSG.GET", "has()", (asked) => storing(asked).has(LETTER, signal)],
  ["STREAM.MSG.GET", "find()", (asked) => letters(asked).find("sub.ORDERS.1-a", signal)],
  ["STREAM.MSG.GET", "next()", (asked) => replaying(asked).next("dlq.>", 1, signal)],
  ["STREAM.MSG.GET", "at()", (asked) => replaying(asked).at(1, signal)],
  ["STREAM.MSG.DELETE", "remove()", (asked) => replaying(asked).remove(1, signal)],
  ["dlq.", "store()", (asked) => storing(asked).store(LETTER, signal)],
  ["dlq.", "replace()", (asked) => replaying(asked).replace(WHOLE, [[]], signal)],
  [
    "$KV.",
    "writeKey()",
    (asked) =>
      writeKey(
        asked,
        { bucket: "relay", key: "a", value: "b", expectedRevision: 0, signer: null, id: null },
        signal,
      ),
  ],
];

describe("an invalid answer of JetStream", () => {
  test.each(ASKED)(
    "to %s makes %s fail with a RelayError at most",
    async (call, _, ask, step = 1) => {
      const liar = await server.connect();
      let told: Lie = "";
      await answerInPlaceOfJetStream(liar, { call, lie: () => told });
      for (const [index, lie] of liesAbout(RIGHT_ANSWERS[call] ?? {}).entries()) {
        if (index % step !== 0) continue;
        told = lie;
        try {
          await ask(connection);
        } catch (error) {
          if (!(error instanceof RelayError))
            throw new Error(`Answered ${String(lie).slice(0, 500)}`, { cause: error });
        }
      }
      await liar.close();
      expect(connection.isConnected).toBe(true);
    },
    60_000,
  );

  test.each(["INFO", "STREAM.INFO", "STREAM.NAMES", "CONSUMER.INFO", "CONSUMER.LIST"])(
    "to %s does not make inspectNats() fail",
    async (call) => {
      const liar = await server.connect();
      await answerInPlaceOfJetStream(liar, { call, lie: () => "null" });
      const { findings } = await inspectNats(natsSettings([server.url]), [SUBSCRIPTION], {
        bucket: "relay",
        signal,
      });
      expect(findings).toBeArray();
      await liar.close();
    },
  );

  test("readStream() rejects an unreadable answer", async () => {
    const liar = await server.connect();
    await answerInPlaceOfJetStream(liar, { call: "STREAM.INFO", lie: () => "null" });
    const reading = readStream(connection, REF);
    expect(reading).rejects.toThrow(/^Cannot read stream ORDERS: unreadable answer from JetStream: /);
    await reading.catch(() => undefined);
    await liar.close();
  });

  test("list() is unavailable with an unreadable STREAM.INFO", async () => {
    const liar = await server.connect();
    await answerInPlaceOfJetStream(liar, { call: "STREAM.INFO", lie: () => "[]" });
    const page = await letters(connection).list({ filter: EVERY_LETTER, limit: 1, cursor: null, signal });
    expect(page.kind).toBe("unavailable");
    await liar.close();
  });
});

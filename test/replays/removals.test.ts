// Delivered letters that are in their stream again after a reconnect, as a nats-server leaves them that was killed.

import { expect, test } from "bun:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { openReplayLetters } from "#letters/replay.ts";
import { createRemovals } from "#replays/removals.ts";
import { addStream, connected } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { TRUSTING_SIGNER } from "../support/letter-signers.ts";

const { signal: never } = new AbortController();

const ENDPOINT = { name: "letters", domain: null, stream: "DLQ", subject: "dlq", create: null };

async function setUp() {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer());
  const client = await server.connect();
  await addStream(client, { name: "DLQ", subjects: ["dlq.>"] });
  const manager = await jetstreamManager(client);
  const connection = stack.use(await connected(server.url));
  const listeners = new Set<() => void>();
  const { signal } = stack.adopt(new AbortController(), (ending) => ending.abort());
  const removals = createRemovals({
    onReconnect: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    logger: connection.logger,
    signal,
  });
  const letters = openReplayLetters(connection, ENDPOINT, TRUSTING_SIGNER);
  const owned = stack.move();
  return {
    removals,
    logs: connection.logger.lines,
    listeners,
    /** Stored as letters 1, 2, 3 and so on. */
    async store(...subjects: readonly string[]) {
      for (const subject of subjects) await jetstream(client).publish(subject, "x");
    },
    manager,
    /** As it lies there. */
    async remember(sequence: number) {
      const read = await letters.at(sequence, never);
      if (read.kind !== "found") throw new Error(`Letter ${sequence} is not there`);
      removals.add(read.letter, letters);
      return read.letter;
    },
    letters,
    async reconnect() {
      for (const listener of listeners) listener();
      await removals.settled();
    },
    async left() {
      const { state } = await manager.streams.info("DLQ", { subjects_filter: ">" });
      return Object.keys(state.subjects ?? {}).sort();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test("createRemovals() removes letters again that are back after a reconnect, and logs their number", async () => {
  await using setup = await setUp();
  await setup.store("dlq.sub.a", "dlq.sub.b", "dlq.sub.c", "dlq.sub.d");
  for (const sequence of [1, 3, 4]) await setup.remember(sequence);
  expect(await setup.letters.remove(4, never)).toBe(true);
  expect(await setup.left()).toHaveLength(3);
  await setup.reconnect();
  expect(await setup.left()).toEqual(["dlq.sub.b"]);
  await setup.reconnect();
  const message = "NATS forgot removals of delivered dead letters: removed them again";
  expect(setup.logs.filter(({ level }) => level === "warn")).toEqual([
    { level: "warn", message, fields: { letters: 2 } },
  ]);
});

test.each([
  ["another letter", "dlq.sub.new"],
  ["a letter of the same message", "dlq.sub.old"],
])("createRemovals() keeps %s with the same sequence in a re-created stream", async (_, subject) => {
  await using setup = await setUp();
  await setup.store("dlq.sub.old");
  const old = await setup.remember(1);
  await setup.manager.streams.delete("DLQ");
  await setup.manager.streams.add({ name: "DLQ", subjects: ["dlq.>"] });
  await setup.store(subject);
  await setup.reconnect();
  expect(await setup.left()).toEqual([subject]);
  const anew = await setup.letters.at(1, never);
  if (anew.kind !== "found") throw new Error(anew.kind);
  expect([setup.removals.has(anew.letter), setup.removals.has(old)]).toEqual([false, true]);
});

test("createRemovals() checks nothing after close()", async () => {
  await using setup = await setUp();
  setup.removals.close();
  expect(setup.listeners.size).toBe(0);
});

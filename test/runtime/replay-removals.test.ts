// Delivered letters that are in their stream again after a reconnect, as a nats-server leaves them that was killed.

import { expect, test } from "bun:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { openReplayLetters } from "#nats/replay-letters.ts";
import { createRemovals } from "#runtime/replay-removals.ts";
import { addStream, connected } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";

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
  const letters = openReplayLetters(connection, ENDPOINT);
  const owned = stack.move();
  return {
    removals,
    logs: connection.logger.lines,
    listeners,
    /** Stored as letters 1, 2, 3 and so on. */
    async store(...subjects: readonly string[]) {
      for (const subject of subjects) await jetstream(client).publish(subject, "x");
    },
    remember: (sequence: number, subject: string) =>
      removals.add({ domain: null, stream: "DLQ", sequence, subject }, letters),
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

test("createRemovals() removes again what is there after a reconnect, and says how many", async () => {
  await using setup = await setUp();
  await setup.store("dlq.sub.a", "dlq.sub.b", "dlq.sub.c");
  setup.remember(1, "dlq.sub.a");
  setup.remember(3, "dlq.sub.c");
  setup.remember(4, "dlq.sub.d");
  expect(await setup.left()).toHaveLength(3);
  await setup.reconnect();
  expect(await setup.left()).toEqual(["dlq.sub.b"]);
  await setup.reconnect();
  const message = "NATS had forgotten removals of delivered dead letters";
  expect(setup.logs.filter(({ level }) => level === "warn")).toEqual([
    { level: "warn", message, fields: { letters: 2 } },
  ]);
});

test("createRemovals() leaves another letter alone that has the sequence in a stream made anew", async () => {
  await using setup = await setUp();
  await setup.store("dlq.sub.new");
  setup.remember(1, "dlq.sub.old");
  await setup.reconnect();
  expect(await setup.left()).toEqual(["dlq.sub.new"]);
  const place = { domain: null, stream: "DLQ", sequence: 1 };
  expect(setup.removals.has({ ...place, subject: "dlq.sub.new" })).toBe(false);
  expect(setup.removals.has({ ...place, subject: "dlq.sub.old" })).toBe(true);
});

test("createRemovals() looks at nothing any more once it is closed", async () => {
  await using setup = await setUp();
  setup.removals.close();
  expect(setup.listeners.size).toBe(0);
});

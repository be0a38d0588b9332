// Delete markers in a dead-letter stream, where letters were deleted for their age: whoever asks for letters does not see them.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";

import { EVERY_LETTER } from "#delivery/letter.ts";
import { openLetters } from "#letters/letters.ts";
import { openReplayLetters } from "#letters/replay.ts";

import { fetchNatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream, connected, leaveMarkers, MARKER_CONFIG } from "../support/nats.ts";
import { TRUSTING_SIGNER } from "../support/letter-signers.ts";

const ENDPOINT = { name: "dlq", domain: null, stream: "DLQ", subject: "dlq", create: null };
const { signal } = new AbortController();
const subjectOf = (n: number) => `dlq.billing.ORDERS.${n}-a`;

/** One letter, of message 5, among the markers of four that came before it, and of four that came after it. */
async function setUp() {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer({ binary: fetchNatsServer() }));
  const client = await server.connect();
  await addStream(client, { name: "DLQ", subjects: ["dlq.>"], max_msgs_per_subject: 1, ...MARKER_CONFIG });
  await leaveMarkers(client, "DLQ", [1, 2, 3, 4].map(subjectOf));
  const { seq } = await jetstream(client).publish(subjectOf(5), "body");
  await leaveMarkers(client, "DLQ", [6, 7, 8, 9].map(subjectOf));
  const connection = stack.use(await connected(server.url));
  const manager = await jetstreamManager(client);
  const owned = stack.move();
  return {
    sequence: seq,
    letters: openLetters(connection, () => [ENDPOINT], TRUSTING_SIGNER),
    replayLetters: openReplayLetters(connection, ENDPOINT, TRUSTING_SIGNER),
    count: async () => (await manager.streams.info("DLQ")).state.messages,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test("openLetters() neither lists, counts, finds nor purges delete markers", async () => {
  await using setup = await setUp();
  const { letters } = setup;
  expect(await setup.count()).toBe(9);
  const page = await letters.list({ filter: EVERY_LETTER, limit: 100, cursor: null, signal });
  expect(page).toMatchObject({ kind: "page", entries: [{ id: "billing.ORDERS.5-a" }], next: null });
  expect(await letters.counts()).toMatchObject({ letters: 1, foreign: 0, isComplete: true });
  expect(await letters.find("billing.ORDERS.1-a", signal)).toEqual({ kind: "missing" });
  expect((await letters.find("billing.ORDERS.5-a", signal)).kind).toBe("found");
  const ids = ["billing.ORDERS.1-a", "billing.ORDERS.9-a"];
  expect(await letters.remove(ids, { isDryRun: false, signal })).toMatchObject({ matched: 0, purged: 0 });
  const purge = { filter: EVERY_LETTER, cursor: null, confirmed: 1, signal };
  expect(await letters.purge(purge)).toMatchObject({ kind: "done", matched: 1, purged: 1, next: null });
  expect(await setup.count()).toBe(8);
});

test("openReplayLetters() skips delete markers between letters", async () => {
  await using setup = await setUp();
  const { replayLetters: letters, sequence } = setup;
  const first = await letters.next("dlq.billing.>", 1, signal);
  expect(first).toMatchObject({ kind: "found", letter: { sequence } });
  expect(await letters.next("dlq.billing.>", sequence + 1, signal)).toEqual({ kind: "none" });
  expect(await letters.newest(subjectOf(1), signal)).toEqual({ kind: "none" });
  expect(await letters.at(sequence + 1, signal)).toEqual({ kind: "none" });
});

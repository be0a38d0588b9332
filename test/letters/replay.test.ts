// Letters replaced in streams that are full or nearly so: no other letter may go for it.

import { jetstream, jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { headers as createHeaders } from "@nats-io/transport-node";
import { expect, test } from "bun:test";
import type { Header } from "#delivery/message.ts";
import { openReplayLetters } from "#letters/replay.ts";
import { addStream, connected } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { TRUSTING_SIGNER } from "../support/letter-signers.ts";

/** Letters as they are: the sizes here are exact. */
const UNSIGNED = { ...TRUSTING_SIGNER, isGenuine: () => false };

const ENDPOINT = { name: "letters", domain: null, stream: "DLQ", subject: "dlq", create: null };
const FULL = { kind: "full", reason: "Dead-letter stream DLQ is full" } as const;
const NUMBERS = [1, 2, 3, 4];
const { signal: never } = new AbortController();

/**
 * Four letters as Relay stores them, `dlq.1` to `dlq.4`, in a stream with so many bytes left, or with so many that one of them
 * may grow by `growth`.
 */
async function setUp({
  free,
  growth = 0,
  ...config
}: Partial<StreamConfig> & { free?: number; growth?: number } = {}) {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer());
  const client = await server.connect();
  await addStream(client, {
    name: "DLQ",
    subjects: ["dlq.>"],
    max_msgs_per_subject: 1,
    discard: "new",
    ...config,
  });
  const headers = createHeaders();
  headers.set("X-Own", "kept");
  headers.set("Nats-Expected-Stream", "DLQ");
  headers.set("Nats-Expected-Last-Subject-Sequence", "0");
  for (const n of NUMBERS) await jetstream(client).publish(`dlq.${n}`, "x".repeat(200), { headers });
  const manager = await jetstreamManager(client);
  const { state } = await manager.streams.info("DLQ");
  // Since 2.10 a stream that discards new messages takes a letter only if it fits beside its former self; until 2.12 with a byte
  // to spare.
  const isOlder = Number(client.info?.version.split(".")[1]) < 10;
  const beside = isOlder || config.discard === "old" ? 0 : state.bytes / NUMBERS.length + 1;
  await manager.streams.update("DLQ", { max_bytes: state.bytes + (free ?? beside + growth) });
  const letters = openReplayLetters(stack.use(await connected(server.url)), ENDPOINT, UNSIGNED);
  const owned = stack.move();
  return {
    /** Of letter `n`, by one with this header beside its own. */
    async replace(n: number, header: Header) {
      const read = await letters.newest(`dlq.${n}`, never);
      if (read.kind !== "found") throw new Error(read.kind);
      const whole = [...read.letter.headers.filter(([name]) => name === "X-Own"), header];
      return letters.replace(read.letter, [whole, [header]], never);
    },
    /** The subjects that have a letter. */
    async left() {
      const info = await manager.streams.info("DLQ", { subjects_filter: ">" });
      return Object.keys(info.state.subjects ?? {}).sort();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const ALL = NUMBERS.map((n) => `dlq.${n}`);

test.each<StreamConfig["discard"]>(["new", "old"])(
  "replace() uses all free space and deletes no other letter (discard %s)",
  async (discard) => {
    await using setup = await setUp({ growth: "E: ee\r\n".length, discard });
    expect(await setup.replace(4, ["E", "eeee"])).toEqual(FULL);
    expect(await setup.left()).toEqual(ALL);
    expect(await setup.replace(4, ["E", "ee"])).toMatchObject({ kind: "replaced" });
    expect(await setup.left()).toEqual(ALL);
  },
);

test("replace() returns full if the server refuses a letter that would just fit", async () => {
  const value = "e".repeat(100);
  await using setup = await setUp({ free: `E: ${value}\r\n`.length });
  expect(await setup.replace(4, ["E", value])).toEqual(FULL);
  expect(await setup.left()).toEqual(ALL);
});

test("replace() of several letters at once does not use the same space twice", async () => {
  await using setup = await setUp({ growth: "E: e\r\n".length });
  const results = await Promise.all(NUMBERS.map((n) => setup.replace(n, ["E", "e"])));
  expect(results.map(({ kind }) => kind).toSorted()).toEqual(["full", "full", "full", "replaced"]);
  expect(await setup.left()).toEqual(ALL);
});

test.each([
  ["bytes", { free: 200 }],
  ["letters", { free: 10_000, max_msgs: 4 }],
])("replace() returns full if the stream keeps former letters and has no %s left", async (_, config) => {
  for (const discard of ["new", "old"] as const) {
    await using setup = await setUp({ ...config, max_msgs_per_subject: -1, discard });
    expect(await setup.replace(4, ["E", "e"])).toEqual(FULL);
    expect(await setup.left()).toEqual(ALL);
  }
});

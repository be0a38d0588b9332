// What a replay remembers of the letters that were delivered, by letters in a real stream.

import { jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { newReplay, REPLAY_ALL } from "#delivery/replay.ts";
import type { Qos } from "#delivery/policy.ts";
import { openReplayLetters } from "#letters/replay.ts";
import type { RemovedLetter } from "#replays/removals.ts";
import { startReplayRun } from "#replays/run.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import { addStream, connected } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { toSubscription } from "../support/subscription.ts";
import { TRUSTING_SIGNER } from "../support/letter-signers.ts";

const ENDPOINT = { name: "letters", domain: null, stream: "DLQ", subject: "dlq", create: null };
const { signal } = new AbortController();

test.each<[Qos, readonly number[]]>([
  ["AT_LEAST_ONCE", [1]],
  ["AT_MOST_ONCE", [1, 2]],
])(
  "a delivered letter (%s) is remembered as it lay in the stream, with its mark too",
  async (qos, places) => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client, { name: "DLQ", subjects: ["dlq.>"], max_msgs_per_subject: 1 });
    const manager = await jetstreamManager(client);
    await client.request("dlq.sub.ORDERS.1-a", "x");
    await using connection = await connected(server.url);
    const letters = openReplayLetters(connection, ENDPOINT, TRUSTING_SIGNER);
    const before: RemovedLetter[] = [];
    const remembered: RemovedLetter[] = [];
    const see = async () => {
      const read = await letters.newest("dlq.sub.ORDERS.1-a", signal);
      if (read.kind === "found") before.push(read.letter);
    };
    const running: Pick<RunningSubscription, "subscription" | "state" | "replay"> = {
      subscription: toSubscription({ id: "sub", qos }),
      state: () => ({ kind: "running" }),
      async replay(_message, { claim }) {
        await see();
        expect(await claim(qos)).toBe("claimed");
        await see();
        return { kind: "delivered" };
      },
    };
    const run = startReplayRun(
      newReplay("one", { ...REPLAY_ALL, force: true }, { maxReplays: null, now: new Date() }),
      {
        find: () => running as RunningSubscription,
        endpoints: [ENDPOINT],
        openLetters: () => letters,
        openMessages: () => expect.unreachable(),
        save: () => Promise.resolve(true),
        taken: new Set(),
        removals: { has: () => false, add: (letter) => void remembered.push(letter) },
        isCurrent: () => true,
        waiting: signal,
        ending: signal,
        logger: connection.logger,
      },
    );
    expect(await run.finished).toEqual({ kind: "done" });
    expect(run.progress().counts.delivered).toBe(1);
    const stored = new Set(before.map(({ sequence, storedAtNanos }) => `${sequence} ${storedAtNanos}`));
    expect(remembered.map(({ sequence }) => sequence)).toEqual([...places]);
    expect(new Set(remembered.map(({ sequence, storedAtNanos }) => `${sequence} ${storedAtNanos}`))).toEqual(
      stored,
    );
    expect((await manager.streams.info("DLQ")).state.messages).toBe(0);
  },
);

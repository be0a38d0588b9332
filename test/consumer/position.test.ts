// What is left in a stream of what is remembered, where the account may not read single messages.

import { jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { parseNatsTimestamp, toNatsTimestamp } from "#delivery/message.ts";
import { checkContinuity, type StreamMessage } from "#consumer/position.ts";
import { readStream } from "#nats/stream.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream, connected, publishMany } from "../support/nats.ts";

const REF = { domain: null, stream: "ORDERS" };

test("checkContinuity() knows only the last message without permission for others", async () => {
  await using server = await startNatsServer({
    configText: `accounts { A { jetstream: enabled, users: [
      { user: relay, password: secret123, permissions: { publish: { deny: ["$JS.API.STREAM.MSG.GET.>"] } } },
      { user: admin, password: admin } ] } }`,
  });
  const admin = await server.connect({ user: "admin", pass: "admin" });
  await addStream(admin);
  await publishMany(admin, "orders.a", 5);
  const auth = { kind: "user", username: "relay", password: "secret123" } as const;
  await using connection = await connected(server.url, { auth });
  const { streams } = await jetstreamManager(admin);
  const messages = await Promise.all(
    [1, 2, 3, 4, 5].map(async (seq) => {
      const time = (await streams.getMessage("ORDERS", { seq }))?.timestamp ?? "";
      return { sequence: seq, timestampNanos: parseNatsTimestamp(time) ?? 0n };
    }),
  );
  const info = await readStream(connection, REF);
  if (info === null) throw new Error("No stream");
  const check = (known: readonly StreamMessage[], sequence: number) =>
    checkContinuity(
      connection,
      { ...REF, info },
      {
        streamCreated: info.created,
        sequence,
        ackFloor: null,
        messages: () => known,
      },
    );
  const startedAt = performance.now();
  expect(await check(messages, 5)).toEqual({ kind: "intact", sequence: 5 });
  expect(await check(messages.slice(0, 4), 4)).toEqual({ kind: "unknown" });
  expect(await check([], 5)).toEqual({ kind: "unknown" });
  expect(await check([], 6)).toEqual({ kind: "cut", sequence: 0 });
  expect(performance.now() - startedAt).toBeLessThan(4900);
});

test.each([0n, 1n, 1_700_000_000_000_000_000n, 1_700_000_000_123_456_789n, 1_700_000_000_120_000_000n])(
  "parseNatsTimestamp() reads what toNatsTimestamp() writes: %p",
  (nanos) => {
    expect(parseNatsTimestamp(toNatsTimestamp(nanos))).toBe(nanos);
  },
);

test.each(["", "yesterday", "2024-05-06T07:08:09+01:00"])(
  "parseNatsTimestamp() refuses other text: %p",
  (text) => {
    expect(parseNatsTimestamp(text)).toBeNull();
  },
);

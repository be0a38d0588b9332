// The queue of spans before a scripted collector: batches, pauses, bounds, what is counted and said.

import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import type { SendResult } from "#telemetry/collector.ts";
import { createExporter } from "#telemetry/exporter.ts";
import { createRecordingLogger } from "../support/nats.ts";
import { runReady, turnClock } from "../support/scripted-parts.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const TAKEN: SendResult = { kind: "accepted", rejected: 0, reason: "" };
const AWAY: SendResult = { kind: "unavailable", reason: "Cannot reach it", retryAfterMs: null };

function setUp() {
  const batches: { spans: string[]; answer: (result: SendResult) => void }[] = [];
  const counts = { exported: 0, dropped: 0 };
  const logger = createRecordingLogger();
  let isClosed = false;
  const exporter = createExporter({
    collector: {
      send: (document) =>
        new Promise((resolve) => {
          batches.push({ spans: document.split(","), answer: resolve });
          if (isClosed) resolve(AWAY);
        }),
      close() {
        isClosed = true;
        batches.at(-1)?.answer(AWAY);
      },
    },
    toDocument: (spans) => spans.join(","),
    counts,
    logger,
  });
  let made = 0;
  return {
    exporter,
    batches,
    counts,
    logger,
    add: (count: number, size = 0) => {
      for (let one = 0; one < count; one += 1) exporter.add(() => `${made++}`.padEnd(size, "x"));
    },
    /** Answers the newest request. */
    answer: async (result: SendResult) => {
      batches.at(-1)?.answer(result);
      await runReady();
    },
    lines: () => logger.lines.map(({ level, message }) => `${level} ${message}`),
  };
}

test("add() exports what came within a second as one batch", async () => {
  const { add, batches, answer, counts } = setUp();
  add(3);
  await turnClock(900);
  expect(batches).toHaveLength(0);
  await turnClock(200);
  expect(batches.map(({ spans }) => spans)).toEqual([["0", "1", "2"]]);
  await answer(TAKEN);
  expect(counts).toEqual({ exported: 3, dropped: 0 });
  await turnClock(60_000);
  expect(batches).toHaveLength(1);
});

test("add() exports 512 spans at once, one batch after the other", async () => {
  const { add, batches, answer, counts } = setUp();
  add(1200);
  expect(batches.map(({ spans }) => spans.length)).toEqual([512]);
  await answer(TAKEN);
  expect(batches.map(({ spans }) => spans.length)).toEqual([512, 512]);
  await answer(TAKEN);
  expect(batches).toHaveLength(2);
  await turnClock(1100);
  await answer(TAKEN);
  expect(batches.at(-1)?.spans.at(-1)).toBe("1199");
  expect(counts.exported).toBe(1200);
});

test("add() makes no request larger than a megabyte, but for a single span", async () => {
  const { add, batches, answer } = setUp();
  add(3, 700_000);
  await turnClock(1100);
  await answer(TAKEN);
  await turnClock(1100);
  expect(batches.map(({ spans }) => spans.length)).toEqual([1, 1]);
});

test("add() keeps the spans while the collector is away, and asks it ever more seldom", async () => {
  const { add, batches, answer, counts, lines, exporter } = setUp();
  add(2);
  await turnClock(1100);
  for (const waitMs of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
    const before = batches.length;
    await answer(AWAY);
    await turnClock(waitMs * 0.7);
    expect(batches).toHaveLength(before);
    await turnClock(waitMs * 0.6);
    expect(batches).toHaveLength(before + 1);
  }
  add(1);
  expect(exporter.fault()).toBe("Cannot reach it");
  await answer(TAKEN);
  await turnClock(1100);
  await answer(TAKEN);
  expect(batches.at(-1)?.spans).toEqual(["2"]);
  expect(counts).toEqual({ exported: 3, dropped: 0 });
  expect(exporter.fault()).toBeNull();
  expect(lines()).toEqual(["warn Cannot export spans", "info Spans are exported again"]);
});

test("add() obeys a Retry-After, for five minutes at most", async () => {
  const { add, batches, answer } = setUp();
  add(1);
  await turnClock(1100);
  await answer({ ...AWAY, retryAfterMs: 20_000 });
  await turnClock(19_000);
  expect(batches).toHaveLength(1);
  await turnClock(2000);
  expect(batches).toHaveLength(2);
  await answer({ ...AWAY, retryAfterMs: 86_400_000 });
  await turnClock(301_000, 1000);
  expect(batches).toHaveLength(3);
});

test("add() drops and counts what a full queue cannot hold, encodes none of it, and says so once", async () => {
  const { add, batches, answer, counts, lines, exporter } = setUp();
  add(6, 1024 * 1024);
  await turnClock(1100);
  await answer(AWAY);
  let encoded = 0;
  for (let one = 0; one < 10_000; one += 1) exporter.add(() => `${encoded++}`);
  expect(encoded).toBe(0);
  expect(counts).toEqual({ exported: 0, dropped: 10_002 });
  expect(lines()).toEqual(["warn Cannot export spans"]);
  await turnClock(1400);
  for (let left = 4; left > 0; left -= 1) {
    await answer(TAKEN);
    await turnClock(1100);
  }
  expect(batches).toHaveLength(5);
  expect(counts).toEqual({ exported: 4, dropped: 10_002 });
});

test("add() does not repeat what was refused, and counts what was rejected", async () => {
  const { add, batches, answer, counts, logger, exporter } = setUp();
  add(2);
  await turnClock(1100);
  await answer({ kind: "refused", reason: "it answered 413" });
  add(3);
  await turnClock(1100);
  await answer({ kind: "accepted", rejected: 1, reason: "no quota" });
  expect(batches).toHaveLength(2);
  expect(counts).toEqual({ exported: 2, dropped: 3 });
  expect(exporter.fault()).toBe("no quota");
  expect(logger.lines).toMatchObject([{ level: "warn", fields: { reason: "it answered 413" } }]);
});

test("close() exports what is left, without waiting for its time or a pause", async () => {
  const { add, batches, answer, counts, exporter } = setUp();
  add(2);
  await turnClock(1100);
  await answer(AWAY);
  add(600);
  const closed = exporter.close(5000);
  await runReady();
  expect(batches).toHaveLength(2);
  await answer(TAKEN);
  await answer(TAKEN);
  expect(await closed).toEqual([]);
  expect(counts).toEqual({ exported: 602, dropped: 0 });
  exporter.add(() => "late");
  await turnClock(10_000);
  expect(batches).toHaveLength(3);
});

test("close() ends in time where the collector hangs, and gives back what it did not take", async () => {
  const { add, exporter } = setUp();
  add(2);
  const closed = exporter.close(5000);
  await turnClock(5100);
  expect(await closed).toEqual(["0", "1"]);
});

test("close() waits for the batch in flight, and sends nothing twice", async () => {
  const { add, batches, answer, exporter, counts } = setUp();
  add(512);
  const closed = exporter.close(5000);
  await runReady();
  expect(batches).toHaveLength(1);
  await answer(TAKEN);
  expect(await closed).toEqual([]);
  expect(counts.exported).toBe(512);
});

// What the guard knows, and when it forgets: it may cause a duplicate, never a loss.

import { rm } from "node:fs/promises";

import { afterAll, describe, expect, test } from "bun:test";

import type { AlignedConsumer } from "#nats/consumer.ts";

import { CONSUMER, isDoneFor, message, open, openAligned, START_NANOS } from "./guards.ts";
import { openPaths } from "./journals.ts";

const paths = await openPaths();

afterAll(() => paths[Symbol.asyncDispose]());

describe("isDone()", () => {
  test("knows what was marked, by sequence and time", async () => {
    await using guard = await openAligned(paths.next());
    guard.markDone(message(5));
    await guard.markDoneDurably(message(7));
    expect(isDoneFor(guard, [4, 5, 6, 7, 8])).toEqual([false, true, false, true, false]);
    expect(guard.isDone(message(5, START_NANOS + 6n))).toBe(false);
    expect(guard.isDone(message(5, START_NANOS + 4n))).toBe(false);
    expect(guard.size).toBe(2);
  });

  test("knows nothing before it knows its consumer", async () => {
    await using guard = await open(paths.next());
    guard.markDone(message(5));
    expect(guard.isDone(message(5))).toBe(false);
    expect(guard.position()).toBeNull();
    expect(guard.markDoneDurably(message(6))).rejects.toThrow("not known");
  });

  test("takes the newest message that a sequence was given to", async () => {
    await using guard = await openAligned(paths.next());
    guard.markDone(message(5));
    guard.markDone(message(5, START_NANOS + 99n));
    expect(guard.isDone(message(5))).toBe(false);
    expect(guard.isDone(message(5, START_NANOS + 99n))).toBe(true);
  });
});

describe("advance()", () => {
  test("replaces entries by a floor, which knows what is old enough only", async () => {
    await using guard = await openAligned(paths.next());
    for (const sequence of [1, 2, 4, 6]) guard.markDone(message(sequence));
    await guard.advance(4);
    expect(guard.size).toBe(1);
    expect(guard.position()).toEqual({ streamCreated: CONSUMER.streamCreated, sequence: 4 });
    expect(isDoneFor(guard, [1, 2, 3, 4, 5, 6])).toEqual([true, true, true, true, false, true]);
    // A server that lost its tail gives the sequence out again, later.
    expect(guard.isDone(message(4, START_NANOS + 5n))).toBe(false);
    expect(guard.isDone(message(1, START_NANOS + 999n))).toBe(false);
  });

  test("takes the youngest of what it replaces, in whatever order they were completed", async () => {
    await using guard = await openAligned(paths.next());
    for (const sequence of [4, 1, 3]) guard.markDone(message(sequence));
    await guard.advance(4);
    expect(guard.isDone(message(4))).toBe(true);
    guard.markDone(message(6));
    await guard.advance(5);
    expect(guard.isDone(message(4))).toBe(true);
    expect(guard.isDone(message(5))).toBe(false);
  });

  test("knows nothing below a floor to which it completed nothing itself", async () => {
    await using guard = await openAligned(paths.next());
    await guard.advance(100);
    expect(guard.isDone(message(50))).toBe(false);
    expect(guard.position()?.sequence).toBe(100);
  });

  test("never goes back, and does nothing before the consumer is known", async () => {
    await using guard = await openAligned(paths.next(), { ackFloor: 9 });
    await guard.advance(3);
    expect(guard.position()?.sequence).toBe(9);
    await using unaligned = await open(paths.next());
    await unaligned.advance(3);
    expect(unaligned.position()).toBeNull();
  });

  test("is the only thing that moves the floor", async () => {
    await using guard = await openAligned(paths.next());
    for (let sequence = 1; sequence <= 500; sequence += 1) guard.markDone(message(sequence));
    expect(guard.position()?.sequence).toBe(0);
    expect(guard.size).toBe(500);
  });
});

describe("align()", () => {
  const shifted = (ms: number) => new Date(Date.parse(CONSUMER.consumerCreated) + ms).toISOString();

  test.each<[what: string, change: Partial<AlignedConsumer>, isKept: boolean]>([
    ["the same consumer", {}, true],
    ["a consumer that was changed in place", { change: "updated" }, true],
    ["a stream that goes on", { lastSequence: 5000 }, true],
    ["a stream that ends with the last completed message", { lastSequence: 20 }, true],
    ["a stream made anew", { streamCreated: "2024-05-06T07:08:09.123456788Z" }, false],
    [
      "a stream made anew, and its consumer by Relay",
      { streamCreated: "2025-01-01T00:00:00Z", change: "recreated" },
      false,
    ],
    ["a consumer whose time a restart shifted", { consumerCreated: "2024-05-06T07:08:10.5002Z" }, true],
    ["a consumer made a second later", { consumerCreated: shifted(1000) }, true],
    ["a consumer that somebody made anew", { consumerCreated: shifted(1001) }, false],
    ["a consumer that somebody made anew, in the past", { consumerCreated: shifted(-60_000) }, false],
    ["a consumer made for the first time", { consumerCreated: shifted(60_000), change: "created" }, false],
    [
      "a consumer that Relay made anew where it was",
      { consumerCreated: shifted(60_000), change: "recreated" },
      true,
    ],
    ["a consumer with a time that is none", { consumerCreated: "" }, false],
  ])("with %s", async (_, change, isKept) => {
    const path = paths.next();
    for (const isReopened of [false, true]) {
      await rm(path, { force: true });
      const first = await open(path);
      await first.align(CONSUMER);
      for (const sequence of [8, 9, 20]) first.markDone(message(sequence));
      await first.advance(8);
      if (isReopened) await first.close();
      await using guard = isReopened ? await open(path) : first;
      await guard.align({ ...CONSUMER, ackFloor: 2, ...change });
      expect(isDoneFor(guard, [8, 9, 20])).toEqual([isKept, isKept, isKept]);
      expect(guard.position()).toEqual({
        streamCreated: change.streamCreated ?? CONSUMER.streamCreated,
        sequence: isKept ? 8 : 2,
      });
    }
  });

  test("takes the floor that the server tells", async () => {
    await using guard = await openAligned(paths.next());
    for (const sequence of [1, 2, 5]) guard.markDone(message(sequence));
    await guard.align({ ...CONSUMER, ackFloor: 2 });
    expect(guard.size).toBe(1);
    expect(guard.position()?.sequence).toBe(2);
    expect(guard.isDone(message(2))).toBe(true);
  });

  test("keeps its own floor where the server forgot acknowledgements", async () => {
    await using guard = await openAligned(paths.next());
    for (const sequence of [1, 2, 3]) guard.markDone(message(sequence));
    await guard.advance(3);
    await guard.align({ ...CONSUMER, ackFloor: 0 });
    expect(isDoneFor(guard, [1, 2, 3, 4])).toEqual([true, true, true, false]);
  });

  test.each<[what: string, change: Partial<AlignedConsumer>, done: readonly number[]]>([
    ["only its last message", { lastSequence: 19 }, [4, 8, 9]],
    ["all above the floor", { lastSequence: 8 }, [4, 8]],
    ["messages below the floor", { lastSequence: 7 }, [4]],
    ["all", { lastSequence: 0, ackFloor: 0 }, []],
    [
      "its last message, when Relay has made the consumer anew",
      { lastSequence: 19, change: "recreated" },
      [4, 8, 9],
    ],
  ])("keeps what is left of a stream that lost %s", async (_, change, done) => {
    const path = paths.next();
    for (const isReopened of [false, true]) {
      await rm(path, { force: true });
      const first = await openAligned(path);
      for (const sequence of [4, 8, 9, 20]) first.markDone(message(sequence));
      await first.advance(8);
      if (isReopened) await first.close();
      await using guard = isReopened ? await open(path) : first;
      const rolledBack = { ...CONSUMER, ackFloor: 2, ...change };
      await guard.align(rolledBack);
      expect([4, 8, 9, 20].filter((sequence) => guard.isDone(message(sequence)))).toEqual([...done]);
      // The server gives the sequences out again, later.
      const later = (sequence: number) => guard.isDone(message(sequence, START_NANOS + 999n));
      expect([4, 8, 9, 20].filter(later)).toEqual([]);
      expect(guard.position()?.sequence).toBe(rolledBack.ackFloor);
      await guard.align({ ...rolledBack, lastSequence: 1000 });
      expect(guard.isDone(message(20))).toBe(false);
    }
  });

  test("takes nothing for done of what a stream has instead of its lost tail", async () => {
    await using guard = await openAligned(paths.next());
    for (const sequence of [5, 6, 7, 8]) guard.markDone(message(sequence));
    await guard.advance(8);
    await guard.align({ ...CONSUMER, ackFloor: 4, lastSequence: 7 });
    guard.markDone(message(7, START_NANOS + 900n));
    await guard.advance(5);
    expect(guard.isDone(message(6, START_NANOS + 800n))).toBe(false);
    expect(guard.isDone(message(7, START_NANOS + 900n))).toBe(true);
  });

  test("knows no place where the server tells none, until it does", async () => {
    const path = paths.next();
    const first = await openAligned(path, { ackFloor: null });
    expect(first.position()).toEqual({ streamCreated: CONSUMER.streamCreated, sequence: null });
    await first.close();
    await using guard = await open(path);
    await guard.align({ ...CONSUMER, ackFloor: null });
    expect(guard.position()?.sequence).toBeNull();
    await guard.advance(0);
    expect(guard.position()?.sequence).toBe(0);
    await guard.advance(null);
    expect(guard.position()?.sequence).toBe(0);
  });

  test("knows no place after forget(), and then the one of the consumer that was moved", async () => {
    await using guard = await openAligned(paths.next(), { ackFloor: 7 });
    guard.markDone(message(9));
    await guard.forget();
    expect(guard.position()?.sequence).toBeNull();
    await guard.align({ ...CONSUMER, ackFloor: 3, change: "created" });
    expect(guard.position()?.sequence).toBe(3);
    expect(guard.isDone(message(9))).toBe(false);
  });

  test("takes a floor for something that the stream had", async () => {
    const path = paths.next();
    for (const isReopened of [false, true]) {
      await rm(path, { force: true });
      const consumer = { ...CONSUMER, streamCreated: "2025-01-01T00:00:00Z" };
      const first = await openAligned(path);
      await first.align({ ...consumer, ackFloor: 50 });
      first.markDone(message(30));
      if (isReopened) await first.close();
      await using guard = isReopened ? await open(path) : first;
      await guard.align({ ...consumer, ackFloor: 20, lastSequence: 49 });
      expect(isDoneFor(guard, [30])).toEqual([true]);
      expect(guard.position()?.sequence).toBe(20);
    }
  });

  test("remembers the consumer that Relay made anew", async () => {
    await using guard = await openAligned(paths.next());
    guard.markDone(message(5));
    const recreated = { ...CONSUMER, consumerCreated: shifted(60_000) };
    await guard.align({ ...recreated, change: "recreated" });
    await guard.align({ ...recreated, change: "kept" });
    expect(guard.isDone(message(5))).toBe(true);
    await guard.align(CONSUMER);
    expect(guard.isDone(message(5))).toBe(false);
  });
});

// What the guard knows, and when it forgets: it may cause a duplicate, never a loss.

import { rm } from "node:fs/promises";

import { afterAll, describe, expect, test } from "bun:test";

import type { AlignedConsumer } from "#consumer/consumer.ts";

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
  test("keeps what it passes until it has passed more, message by message", async () => {
    await using guard = await openAligned(paths.next());
    for (const sequence of [1, 2, 4, 6]) guard.markDone(message(sequence));
    await guard.advance(4);
    expect(guard.size).toBe(1);
    expect(guard.position()).toMatchObject({ streamCreated: CONSUMER.streamCreated, sequence: 4 });
    expect(isDoneFor(guard, [1, 2, 3, 4, 5, 6])).toEqual([true, true, false, true, false, true]);
    await guard.advance(6);
    expect(isDoneFor(guard, [1, 2, 4, 6])).toEqual([false, false, false, true]);
  });

  // A server that lost its tail in a power failure gave the sequences out again, by a clock that was an hour behind.
  test.each([
    ["earlier", -3_600_000_000_000n],
    ["later", 3_600_000_000_000n],
  ])("takes no message for done that has the sequence of one and an %s time", async (_, shift) => {
    await using guard = await openAligned(paths.next(), { lastSequence: 0, ackFloor: 0 });
    for (let sequence = 1; sequence <= 150; sequence += 1) guard.markDone(message(sequence));
    await guard.advance(150);
    for (const sequence of [101, 120, 150]) {
      expect(guard.isDone(message(sequence, message(sequence).timestampNanos + shift))).toBe(false);
    }
  });

  test("remembers the newest of what it passes, in whatever order they were completed", async () => {
    await using guard = await openAligned(paths.next());
    for (const sequence of [4, 1, 3]) guard.markDone(message(sequence));
    await guard.advance(4);
    guard.markDone(message(6));
    await guard.advance(5);
    const known = guard
      .position()
      ?.messages()
      .map(({ sequence }) => sequence);
    expect(known).toEqual([1, 3, 4, 4, 6]);
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
    ["a stream made anew", { streamCreated: "2024-05-06T07:08:09.125456788Z" }, false],
    [
      "a stream made anew, and its consumer by Relay",
      { streamCreated: "2025-01-01T00:00:00Z", change: "created" },
      false,
    ],
    [
      "a stream made anew that has the same messages, and its consumer by Relay",
      {
        streamCreated: "2025-01-01T00:00:00Z",
        change: "recreated",
        continuity: { kind: "intact", sequence: 8 },
      },
      true,
    ],
    ["a consumer whose time a restart shifted", { consumerCreated: "2024-05-06T07:08:10.5002Z" }, true],
    ["a consumer made a second later", { consumerCreated: shifted(1000) }, true],
    ["a consumer that somebody made anew", { consumerCreated: shifted(1001) }, false],
    ["a consumer that somebody made anew, in the past", { consumerCreated: shifted(-60_000) }, false],
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
      expect(guard.position()).toMatchObject({
        streamCreated: change.streamCreated ?? CONSUMER.streamCreated,
        sequence: isKept && !("change" in change && change.change === "recreated") ? 8 : 2,
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

  test.each<[what: string, intactUpTo: number, done: readonly number[]]>([
    ["only its last message", 9, [4, 8, 9]],
    ["all above the floor", 8, [4, 8]],
    ["messages below the floor", 4, [4]],
    ["all", 0, []],
  ])("keeps what is left of a stream that lost %s", async (_, intactUpTo, done) => {
    const path = paths.next();
    for (const isReopened of [false, true]) {
      await rm(path, { force: true });
      const first = await openAligned(path);
      for (const sequence of [4, 8, 9, 20]) first.markDone(message(sequence));
      await first.advance(8);
      if (isReopened) await first.close();
      await using guard = isReopened ? await open(path) : first;
      const ackFloor = Math.min(2, intactUpTo);
      await guard.align({ ...CONSUMER, ackFloor, continuity: { kind: "cut", sequence: intactUpTo } });
      expect([4, 8, 9, 20].filter((sequence) => guard.isDone(message(sequence)))).toEqual([...done]);
      // The server gives the sequences out again.
      for (const shift of [-999n, 999n]) {
        const again = (sequence: number) => guard.isDone(message(sequence, START_NANOS + shift));
        expect([4, 8, 9, 20].filter((sequence) => sequence > intactUpTo).filter(again)).toEqual([]);
      }
      expect(guard.position()?.sequence).toBe(ackFloor);
    }
  });

  test("takes for done what the server delivers again, up to a message that the stream has still", async () => {
    const path = paths.next();
    const first = await openAligned(path);
    for (const sequence of [1, 2, 3]) first.markDone(message(sequence));
    await first.advance(3);
    first.markDone(message(4));
    await first.advance(4);
    await first.close();
    await using guard = await open(path);
    await guard.align({ ...CONSUMER, ackFloor: 0, continuity: { kind: "unknown" } });
    expect(isDoneFor(guard, [1, 2, 3, 4, 5])).toEqual([false, false, false, true, false]);
    await guard.align({ ...CONSUMER, ackFloor: 0, continuity: { kind: "intact", sequence: 4 } });
    expect(isDoneFor(guard, [1, 2, 3, 4, 5])).toEqual([true, true, true, true, false]);
    // It has delivered all of that: whatever comes from now on is new.
    await guard.advance(4);
    expect(isDoneFor(guard, [1, 2, 3, 4, 5])).toEqual([false, false, false, true, false]);
  });

  test("takes nothing for done that it never completed, though the stream is the same", async () => {
    await using guard = await openAligned(paths.next(), { ackFloor: 100, lastSequence: 100 });
    await guard.align({ ...CONSUMER, ackFloor: 0, continuity: { kind: "intact", sequence: 100 } });
    expect(guard.isDone(message(50))).toBe(false);
  });

  test("forgets the tail that a stream lost: a later message of its sequence is remembered alone", async () => {
    await using guard = await openAligned(paths.next());
    for (const sequence of [5, 6, 7, 8]) guard.markDone(message(sequence));
    await guard.advance(8);
    await guard.align({ ...CONSUMER, ackFloor: 4, continuity: { kind: "cut", sequence: 5 } });
    guard.markDone(message(7, START_NANOS - 900n));
    await guard.advance(7);
    expect(guard.isDone(message(6, START_NANOS - 900n))).toBe(false);
    expect(guard.isDone(message(7, START_NANOS - 900n))).toBe(true);
    expect(guard.position()?.messages()).toEqual([
      { sequence: 7, timestampNanos: START_NANOS - 900n },
      { sequence: 7, timestampNanos: START_NANOS - 900n },
    ]);
  });

  test("remembers one message of each of the last floors, also when it is opened again", async () => {
    const path = paths.next();
    const first = await openAligned(path, { lastSequence: 10_000 });
    for (let floor = 100; floor <= 5000; floor += 100) {
      for (let sequence = floor - 99; sequence <= floor; sequence += 1) first.markDone(message(sequence));
      await first.advance(floor);
    }
    await first.close();
    await using guard = await open(path);
    for (const each of [first, guard]) {
      const known =
        each
          .position()
          ?.messages()
          .map(({ sequence }) => sequence) ?? [];
      expect(known.filter((sequence) => sequence <= 4900)).toEqual(
        Array.from({ length: 31 }, (_, index) => 1900 + 100 * index),
      );
    }
    await guard.align({ ...CONSUMER, ackFloor: 2050, continuity: { kind: "cut", sequence: 2000 } });
    await guard.close();
    await using again = await open(path);
    expect(
      again
        .position()
        ?.messages()
        .map(({ sequence }) => sequence),
    ).toEqual([1900, 2000]);
  });

  test("remembers the last message of a stream of which all is done, though it completed none", async () => {
    await using guard = await openAligned(paths.next(), {
      ackFloor: 10,
      lastSequence: 10,
      lastTimestampNanos: START_NANOS,
    });
    expect(guard.position()?.messages()).toEqual([{ sequence: 10, timestampNanos: START_NANOS }]);
  });

  test("expectStream() remembers that the subscription is older than its stream", async () => {
    const path = paths.next();
    const first = await open(path);
    await first.expectStream();
    await first.close();
    await using guard = await open(path);
    expect(guard.position()).toMatchObject({ streamCreated: new Date(0).toISOString(), sequence: null });
    await guard.align(CONSUMER);
    await guard.expectStream();
    expect(guard.position()?.streamCreated).toBe(CONSUMER.streamCreated);
  });

  test("knows no place where the server tells none, until it does", async () => {
    const path = paths.next();
    const first = await openAligned(path, { ackFloor: null });
    expect(first.position()).toMatchObject({ streamCreated: CONSUMER.streamCreated, sequence: null });
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

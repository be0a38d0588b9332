// The mirror alone: what is changed here and what comes in, in every order that they can meet.

import { describe, expect, test } from "bun:test";

import type { StoredChange } from "#bucket/feed.ts";
import { createMirror, type LocalChange, type Mirror, REFUSED } from "#bucket/mirror.ts";
import { createBucketSigner } from "#bucket/signer.ts";

import { createRecordingLogger } from "../support/nats.ts";

interface TestMirror extends Mirror {
  /** `key=value`, or `key` where it was removed. */
  readonly told: string[];
  readonly messages: () => string[];
}

function mirrorOf(...changes: StoredChange[]): TestMirror {
  const logger = createRecordingLogger();
  const mirror = createMirror({ logger, bucket: "relay", signer: null });
  read(mirror, ...changes);
  const told: string[] = [];
  mirror.onChange((key, entry) => told.push(entry === null ? key : `${key}=${entry.value}`));
  return { ...mirror, told, messages: () => logger.lines.map(({ message }) => message) };
}

function read(mirror: Mirror, ...changes: StoredChange[]): void {
  mirror.beginReading();
  for (const change of changes) mirror.take(change);
  mirror.endReading();
}

function stored(key: string, value: string | null, revision: number): StoredChange {
  return { key, value, revision, signature: null };
}

function local(key: string, value: string | null): LocalChange {
  return { key, value, id: `${key}=${value}`, commandedAt: null };
}

const MINE = local("a", "mine");

describe("cover()", () => {
  test.each([
    ["written, then brought", [5, "feed"]],
    ["brought, then known to be written", ["feed", 5]],
  ])("cover() notifies once of a change that is %s, and then no longer covers", (_, steps) => {
    const mirror = mirrorOf(stored("a", "old", 1));
    mirror.cover(MINE);
    for (const step of steps) {
      if (typeof step === "number") mirror.written(MINE, step);
      else mirror.take(stored("a", "mine", 5));
      expect(mirror.get("a")?.value).toBe("mine");
    }
    expect(mirror.get("a")).toEqual({ key: "a", value: "mine", revision: 5 });
    mirror.take(stored("a", "theirs", 6));
    expect(mirror.told).toEqual(["a=mine", "a=theirs"]);
  });

  test("cover() hides changes that others stored before it", () => {
    const mirror = mirrorOf();
    mirror.cover(MINE);
    mirror.take(stored("a", "theirs", 4));
    mirror.written(MINE, 5);
    expect(mirror.get("a")).toEqual({ key: "a", value: "mine", revision: 5 });
    mirror.take(stored("a", "mine", 5));
    expect(mirror.told).toEqual(["a=mine"]);
  });

  test("cover() ends with a newer stored value, even if that arrives first", () => {
    const mirror = mirrorOf();
    mirror.cover(MINE);
    mirror.take(stored("a", "mine", 5));
    mirror.take(stored("a", "theirs", 6));
    mirror.written(MINE, 5);
    expect(mirror.get("a")).toEqual({ key: "a", value: "theirs", revision: 6 });
  });

  test("cover() stays unwritten if it replaced a change that was being written", () => {
    const mirror = mirrorOf();
    const newer = local("a", "newer");
    mirror.cover(MINE);
    mirror.cover(newer);
    mirror.written(MINE, 5);
    mirror.take(stored("a", "mine", 5));
    expect(mirror.get("a")?.value).toBe("newer");
    expect(mirror.unwritten()).toEqual([newer]);
    mirror.written(newer, 6);
    expect(mirror.unwritten()).toEqual([]);
  });

  test("cover() of a removal ends with its delete marker", () => {
    const mirror = mirrorOf(stored("a", "old", 1));
    const removal = local("a", null);
    mirror.cover(removal);
    mirror.take(stored("a", null, 2));
    mirror.written(removal, 2);
    mirror.take(stored("a", "theirs", 3));
    expect(mirror.told).toEqual(["a", "a=theirs"]);
  });

  test("written() shows a change at once that was not covered", () => {
    const mirror = mirrorOf();
    mirror.written(MINE, 5);
    expect(mirror.get("a")).toEqual({ key: "a", value: "mine", revision: 5 });
    mirror.written(local("a", "late"), 4);
    expect(mirror.told).toEqual(["a=mine"]);
  });
});

describe("endReading()", () => {
  test("endReading() replaces all entries at once, whatever their revisions, and notifies of differences only", () => {
    const mirror = mirrorOf(stored("a", "1", 10), stored("b", "1", 11), stored("c", "1", 12));
    mirror.beginReading();
    mirror.take(stored("a", "1", 1));
    mirror.take(stored("b", "2", 2));
    expect(mirror.list("").map(({ value }) => value)).toEqual(["1", "1", "1"]);
    mirror.endReading();
    expect(mirror.list("")).toEqual([
      { key: "a", value: "1", revision: 1 },
      { key: "b", value: "2", revision: 2 },
    ]);
    expect(mirror.told).toEqual(["b=2", "c"]);
  });

  test("endReading() drops changes stored before the reading, and keeps those stored during it or not at all", () => {
    const mirror = mirrorOf();
    const during = local("b", "during");
    mirror.written(local("a", "before"), 7);
    mirror.beginReading();
    mirror.written(during, 8);
    mirror.cover(local("c", "unwritten"));
    mirror.endReading();
    expect(mirror.list("").map(({ key, value }) => `${key} ${value}`)).toEqual(["b during", "c unwritten"]);
    mirror.take(stored("b", "during", 8));
    expect(mirror.told).toEqual(["a=before", "b=during", "c=unwritten", "a"]);
  });

  test("beginReading() discards an unfinished reading", () => {
    const mirror = mirrorOf(stored("a", "1", 1));
    mirror.beginReading();
    mirror.take(stored("a", "2", 2));
    read(mirror, stored("a", "1", 1));
    expect(mirror.told).toEqual([]);
  });
});

describe("limits", () => {
  test("count() equals the length of list(), also with removed and covered keys", () => {
    const mirror = mirrorOf(stored("a", "1", 1), stored("b", "1", 2), stored("c", "1", 3));
    mirror.take(stored("b", null, 4));
    mirror.cover(local("c", null));
    mirror.cover(local("a", "2"));
    mirror.cover(local("d", "1"));
    expect(mirror.list("").map(({ key }) => key)).toEqual(["a", "d"]);
    expect(mirror.count()).toBe(2);
  });

  test("take() ignores entries above the limit, and logs it once", () => {
    const mirror = mirrorOf();
    mirror.take(stored("large", "x".repeat(262_145), 1));
    for (let i = 0; i < 20_600; i += 1) mirror.take(stored(`k${i}`, "1", i + 2));
    expect(mirror.list("")).toHaveLength(20_500);
    expect(mirror.messages()).toEqual(["Ignored an entry of the bucket"]);
  });

  test("cover() refuses keys above the limit", () => {
    const mirror = mirrorOf();
    for (let i = 0; i < 20_000; i += 1) mirror.cover(local(`k${i}`, "1"));
    expect(mirror.cover(MINE)).toBe(false);
    expect(mirror.cover(local("k1", "2"))).toBe(true);
  });

  test("takeOldMarks() returns the oldest of many delete markers, and none during a reading", () => {
    const mirror = mirrorOf(stored("a", "1", 1));
    for (let i = 0; i < 500; i += 1) mirror.take(stored(`k${i}`, null, i + 2));
    expect(mirror.takeOldMarks()).toEqual([]);
    mirror.take(stored("k0", null, 502));
    mirror.take(stored("k500", null, 503));
    mirror.beginReading();
    expect(mirror.takeOldMarks()).toEqual([]);
    mirror.endReading();
    for (let i = 0; i <= 500; i += 1) mirror.take(stored(`k${i}`, null, i + 504));
    expect(mirror.takeOldMarks().map(({ revision }) => revision)).toEqual(
      Array.from({ length: 251 }, (_, i) => i + 504),
    );
    expect(mirror.takeOldMarks()).toEqual([]);
  });

  test("onChange() calls the other listeners although one throws", () => {
    const mirror = mirrorOf();
    mirror.onChange(() => {
      throw new Error("no");
    });
    const seen: string[] = [];
    mirror.onChange((key) => seen.push(key))();
    mirror.onChange((key) => seen.push(`${key}!`));
    mirror.cover(MINE);
    expect(seen).toEqual(["a!"]);
    expect(mirror.messages()).toEqual(["A listener to the bucket failed"]);
  });
});

describe("with a signer", () => {
  const signer = createBucketSigner(new Uint8Array(32).fill(1), "relay");
  const signed = (key: string, value: string, revision: number): StoredChange => ({
    ...stored(key, value, revision),
    signature: signer.sign(key, value),
  });

  function createSignedMirror(...changes: StoredChange[]) {
    const logger = createRecordingLogger();
    const mirror = createMirror({ logger, bucket: "relay", signer });
    read(mirror, ...changes);
    return { mirror, logger };
  }

  test("take() keeps the last valid value of an entry without a valid signature, under the new revision", () => {
    const { mirror, logger } = createSignedMirror(signed("a", "known", 1));
    for (const revision of [2, 3]) mirror.take(stored("a", "forged", revision));
    expect(mirror.get("a")).toEqual({ key: "a", value: "known", revision: 3 });
    expect(mirror.refusedKeys()).toEqual(["a"]);
    expect(logger.lines.map(({ message }) => message)).toEqual(["An entry of the bucket is refused"]);
    read(mirror, stored("a", "forged", 3));
    expect(mirror.get("a")).toEqual({ key: "a", value: "known", revision: 3 });
    mirror.take(signed("a", "next", 4));
    expect([mirror.get("a")?.value, mirror.refusedKeys()]).toEqual(["next", []]);
  });

  test.each([
    ["without a signature", stored("a", "x", 1)],
    ["of another key", { ...stored("a", "x", 1), signature: signer.sign("b", "x") }],
    ["of another value", { ...stored("a", "x", 1), signature: signer.sign("a", "y") }],
    [
      "of another bucket",
      {
        ...stored("a", "x", 1),
        signature: createBucketSigner(new Uint8Array(32).fill(1), "b").sign("a", "x"),
      },
    ],
    [
      "with another state.key",
      { ...stored("a", "x", 1), signature: createBucketSigner(new Uint8Array(32), "relay").sign("a", "x") },
    ],
  ])("take() refuses an entry %s", (_case, change) => {
    const { mirror } = createSignedMirror(change);
    expect(mirror.get("a")).toEqual({ key: "a", value: REFUSED, revision: 1 });
    expect(mirror.isRefused("a")).toBe(true);
  });

  test("take() accepts any removal: delete markers have no signature", () => {
    const { mirror } = createSignedMirror(stored("a", "forged", 1), signed("b", "known", 2));
    mirror.take(stored("a", null, 3));
    mirror.take(stored("b", null, 4));
    expect([mirror.get("a"), mirror.get("b"), mirror.refusedKeys()]).toEqual([null, null, []]);
  });
});

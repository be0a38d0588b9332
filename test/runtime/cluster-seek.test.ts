// Seeks of relays that share a bucket on a real server: one moves at a time, the others let go, and one that dies holds up nobody.

import { afterAll, beforeAll, expect, test } from "bun:test";
import type { AlignedConsumer } from "#consumer/consumer.ts";
import type { Guard } from "#pipeline/guard.ts";
import { createMoveMarks, type MoveMarks } from "#runtime/seek-marks.ts";
import { createPlace, type Place } from "#runtime/cluster-seek.ts";
import { openTestBucket, WITHIN_A_SECOND } from "../bucket/buckets.ts";
import { eventually } from "../support/eventually.ts";
import { connected } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";

const KEY = "state.sub.place";
const START = { kind: "all" } as const;

let stack: AsyncDisposableStack;
let nats: NatsServer;
let names = 0;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
});
afterAll(() => stack.disposeAsync());

/** The consumer that all of them share, by name of its place; null: there is none. */
interface Consumer {
  place: string | null;
  waiting: number;
}

interface Relay extends AsyncDisposable {
  readonly marks: MoveMarks;
  readonly place: Place;
  readonly guard: Guard;
  /** How often the guard was made to forget. */
  readonly forgotten: () => number;
}

function newBucket(): string {
  names += 1;
  return `place-${names}`;
}

async function start(
  bucketName: string,
  { owner, consumer, moving }: { owner: string; consumer: Consumer; moving?: () => Promise<void> },
): Promise<Relay> {
  await using owned = new AsyncDisposableStack();
  const connection = owned.use(await connected(nats.url));
  const bucket = owned.use(openTestBucket(connection, { name: bucketName }));
  await bucket.ready(AbortSignal.timeout(5000));
  const marks = createMoveMarks(bucket, { key: KEY, onMoved: () => undefined });
  let forgotten = 0;
  const guard = {
    forget: () => {
      forgotten += 1;
      return Promise.resolve();
    },
    align: () => Promise.resolve(),
  } as Partial<Guard> as Guard;
  const place = createPlace({
    marks,
    async moveConsumer() {
      consumer.place = null;
      await moving?.();
      consumer.place = owner;
      return {} as AlignedConsumer;
    },
    readConsumer: () => Promise.resolve(consumer.place === null ? null : { waiting: consumer.waiting }),
    signal: new AbortController().signal,
    owner,
    beatMs: 50,
    deadMs: 400,
  });
  const moved = owned.move();
  return {
    marks,
    place,
    guard,
    forgotten: () => forgotten,
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

const forEver = () => new AbortController().signal;

test("move() holds the others back from before the consumer is gone until it is at its new place", async () => {
  const name = newBucket();
  const consumer: Consumer = { place: "old", waiting: 1 };
  const go = Promise.withResolvers<void>();
  await using one = await start(name, { owner: "one", consumer, moving: () => go.promise });
  await using other = await start(name, { owner: "other", consumer });
  const moving = one.place.move(START, one.guard);
  await eventually(() => other.place.isBeingMoved, WITHIN_A_SECOND);
  // The other one still asks for messages.
  expect([consumer.place, one.place.isBeingMoved]).toEqual(["old", false]);
  consumer.waiting = 0;
  await eventually(() => consumer.place === null, WITHIN_A_SECOND);
  expect(await other.place.isTakenElsewhere()).toBe(true);
  go.resolve();
  await moving;
  await eventually(() => other.place.isMovedElsewhere && !other.place.isBeingMoved, WITHIN_A_SECOND);
  await other.place.follow(other.guard);
  expect([consumer.place, one.forgotten(), other.forgotten()]).toEqual(["one", 1, 1]);
  expect([one.place.isMovedElsewhere, other.place.isMovedElsewhere]).toEqual([false, false]);
});

test("move() of two relays at once: one after the other, and the later one is where both go on", async () => {
  const name = newBucket();
  const consumer: Consumer = { place: "old", waiting: 0 };
  let atOnce = 0;
  const moving = async () => {
    atOnce += 1;
    expect(atOnce).toBe(1);
    await Bun.sleep(50);
    atOnce -= 1;
  };
  await using one = await start(name, { owner: "one", consumer, moving });
  await using other = await start(name, { owner: "other", consumer, moving });
  await Promise.all([one.place.move(START, one.guard), other.place.move(START, other.guard)]);
  const last = consumer.place === "one" ? other : one;
  await eventually(() => last.place.isMovedElsewhere, WITHIN_A_SECOND);
});

test("isTakenElsewhere() knows what is stored before the bucket has told it", async () => {
  const name = newBucket();
  const consumer: Consumer = { place: "old", waiting: 0 };
  await using one = await start(name, { owner: "one", consumer, moving: () => new Promise(() => undefined) });
  await using other = await start(name, { owner: "other", consumer });
  void one.place.move(START, one.guard);
  await eventually(() => consumer.place === null);
  expect(await other.place.isTakenElsewhere()).toBe(true);
  expect(other.place.isBeingMoved).toBe(true);
});

test.each([
  ["before it deleted the consumer", "old", 1],
  ["before it made the consumer again: the place that is known stays", null, 0],
  ["before it said that it had moved it", "dead", 1],
] as const)("a relay that died %s holds up the others for some time only", async (_when, left, forgotten) => {
  const name = newBucket();
  const consumer: Consumer = { place: left, waiting: 0 };
  await using other = await start(name, { owner: "other", consumer });
  await using third = await start(name, { owner: "third", consumer });
  const dead = { id: "move-1", phase: "moving", by: "dead", beat: 0 } as const;
  expect(await other.marks.claim(dead, { expectedRevision: 0, signal: forEver() })).toBe(true);
  await eventually(() => third.place.isBeingMoved, WITHIN_A_SECOND);
  await Promise.all([other.place.waitForMove(forEver()), third.place.waitForMove(forEver())]);
  for (const { place } of [other, third]) {
    await eventually(() => !place.isBeingMoved && place.isMovedElsewhere, WITHIN_A_SECOND);
  }
  for (const { place, guard } of [other, third]) await place.follow(guard);
  expect([other.forgotten(), third.forgotten()]).toEqual([forgotten, forgotten]);
  await third.place.move(START, third.guard);
  expect(consumer.place).toBe("third");
});

test("a relay that takes long to move it, and lives, is waited for", async () => {
  const name = newBucket();
  const consumer: Consumer = { place: "old", waiting: 0 };
  const go = Promise.withResolvers<void>();
  await using one = await start(name, { owner: "one", consumer, moving: () => go.promise });
  await using other = await start(name, { owner: "other", consumer });
  const moving = one.place.move(START, one.guard);
  await eventually(() => other.place.isBeingMoved, WITHIN_A_SECOND);
  const until = performance.now() + 1500;
  while (performance.now() < until) {
    // Each sign of life ends the wait, as any change does.
    await other.place.waitForMove(AbortSignal.timeout(100));
    expect(other.marks.current?.phase).toBe("moving");
  }
  go.resolve();
  await moving;
  await eventually(() => other.place.isMovedElsewhere, WITHIN_A_SECOND);
});

test("a move that fails is told as given up, and rejects", async () => {
  const name = newBucket();
  const consumer: Consumer = { place: "old", waiting: 0 };
  const moving = () => Promise.reject(new Error("no"));
  await using one = await start(name, { owner: "one", consumer, moving });
  await using other = await start(name, { owner: "other", consumer });
  expect(one.place.move(START, one.guard)).rejects.toThrow("no");
  for (const { place } of [one, other]) await eventually(() => place.isMovedElsewhere, WITHIN_A_SECOND);
  // There is none: it is made again at the place that is known.
  for (const { place, guard } of [one, other]) await place.follow(guard);
  expect([one.forgotten(), other.forgotten()]).toEqual([0, 0]);
});

// Seeks of relays that share a bucket on a real server: one seeks at a time, the others stop pulling, a dead one blocks nobody.

import { afterAll, beforeAll, expect, test } from "bun:test";
import type { AlignedConsumer } from "#consumer/consumer.ts";
import type { Guard } from "#pipeline/guard.ts";
import { createSeekMarks, type SeekMarks } from "#runtime/seek-marks.ts";
import { createClusterSeek, type ClusterSeek } from "#runtime/cluster-seek.ts";
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

/** The consumer that all of them share, by name of its position; null: there is none. */
interface Consumer {
  position: string | null;
  waiting: number;
}

interface Relay extends AsyncDisposable {
  readonly marks: SeekMarks;
  readonly clusterSeek: ClusterSeek;
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
  const marks = createSeekMarks(bucket, { key: KEY, onMoved: () => undefined });
  let forgotten = 0;
  const guard = {
    forget: () => {
      forgotten += 1;
      return Promise.resolve();
    },
    align: () => Promise.resolve(),
  } as Partial<Guard> as Guard;
  const clusterSeek = createClusterSeek({
    marks,
    async moveConsumer() {
      consumer.position = null;
      await moving?.();
      consumer.position = owner;
      return {} as AlignedConsumer;
    },
    readConsumer: () => Promise.resolve(consumer.position === null ? null : { waiting: consumer.waiting }),
    signal: new AbortController().signal,
    owner,
    beatMs: 50,
    deadMs: 400,
  });
  const moved = owned.move();
  return {
    marks,
    clusterSeek,
    guard,
    forgotten: () => forgotten,
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

const forEver = () => new AbortController().signal;

test("move() keeps the others away from the consumer until it is at its new position", async () => {
  const name = newBucket();
  const consumer: Consumer = { position: "old", waiting: 1 };
  const go = Promise.withResolvers<void>();
  await using one = await start(name, { owner: "one", consumer, moving: () => go.promise });
  await using other = await start(name, { owner: "other", consumer });
  const moving = one.clusterSeek.move(START, one.guard);
  await eventually(() => other.clusterSeek.isBeingMoved, WITHIN_A_SECOND);
  // The other one still asks for messages.
  expect([consumer.position, one.clusterSeek.isBeingMoved]).toEqual(["old", false]);
  consumer.waiting = 0;
  await eventually(() => consumer.position === null, WITHIN_A_SECOND);
  expect(await other.clusterSeek.isTakenElsewhere()).toBe(true);
  go.resolve();
  await moving;
  await eventually(
    () => other.clusterSeek.isMovedElsewhere && !other.clusterSeek.isBeingMoved,
    WITHIN_A_SECOND,
  );
  await other.clusterSeek.follow(other.guard);
  expect([consumer.position, one.forgotten(), other.forgotten()]).toEqual(["one", 1, 1]);
  expect([one.clusterSeek.isMovedElsewhere, other.clusterSeek.isMovedElsewhere]).toEqual([false, false]);
});

test("move() of two relays at once runs one after the other, and both follow the later one", async () => {
  const name = newBucket();
  const consumer: Consumer = { position: "old", waiting: 0 };
  let atOnce = 0;
  const moving = async () => {
    atOnce += 1;
    expect(atOnce).toBe(1);
    await Bun.sleep(50);
    atOnce -= 1;
  };
  await using one = await start(name, { owner: "one", consumer, moving });
  await using other = await start(name, { owner: "other", consumer, moving });
  await Promise.all([one.clusterSeek.move(START, one.guard), other.clusterSeek.move(START, other.guard)]);
  const last = consumer.position === "one" ? other : one;
  await eventually(() => last.clusterSeek.isMovedElsewhere, WITHIN_A_SECOND);
});

test("isTakenElsewhere() reads the stored mark before the bucket has delivered it", async () => {
  const name = newBucket();
  const consumer: Consumer = { position: "old", waiting: 0 };
  await using one = await start(name, { owner: "one", consumer, moving: () => new Promise(() => undefined) });
  await using other = await start(name, { owner: "other", consumer });
  void one.clusterSeek.move(START, one.guard);
  await eventually(() => consumer.position === null);
  expect(await other.clusterSeek.isTakenElsewhere()).toBe(true);
  expect(other.clusterSeek.isBeingMoved).toBe(true);
});

test.each([
  ["before it deleted the consumer", "old", 1],
  ["before it re-created the consumer: the known position stays", null, 0],
  ["before it marked the seek as moved", "dead", 1],
] as const)("waitForMove() and follow() get past a relay that died %s", async (_when, left, forgotten) => {
  const name = newBucket();
  const consumer: Consumer = { position: left, waiting: 0 };
  await using other = await start(name, { owner: "other", consumer });
  await using third = await start(name, { owner: "third", consumer });
  const dead = { id: "move-1", phase: "moving", by: "dead", beat: 0 } as const;
  expect(await other.marks.claim(dead, { expectedRevision: 0, signal: forEver() })).toBe(true);
  await eventually(() => third.clusterSeek.isBeingMoved, WITHIN_A_SECOND);
  await Promise.all([other.clusterSeek.waitForMove(forEver()), third.clusterSeek.waitForMove(forEver())]);
  for (const { clusterSeek } of [other, third]) {
    await eventually(() => !clusterSeek.isBeingMoved && clusterSeek.isMovedElsewhere, WITHIN_A_SECOND);
  }
  for (const { clusterSeek, guard } of [other, third]) await clusterSeek.follow(guard);
  expect([other.forgotten(), third.forgotten()]).toEqual([forgotten, forgotten]);
  await third.clusterSeek.move(START, third.guard);
  expect(consumer.position).toBe("third");
});

test("waitForMove() waits for a slow relay that is alive", async () => {
  const name = newBucket();
  const consumer: Consumer = { position: "old", waiting: 0 };
  const go = Promise.withResolvers<void>();
  await using one = await start(name, { owner: "one", consumer, moving: () => go.promise });
  await using other = await start(name, { owner: "other", consumer });
  const moving = one.clusterSeek.move(START, one.guard);
  await eventually(() => other.clusterSeek.isBeingMoved, WITHIN_A_SECOND);
  const until = performance.now() + 1500;
  while (performance.now() < until) {
    // Each sign of life ends the wait, as any change does.
    await other.clusterSeek.waitForMove(AbortSignal.timeout(100));
    expect(other.marks.current?.phase).toBe("moving");
  }
  go.resolve();
  await moving;
  await eventually(() => other.clusterSeek.isMovedElsewhere, WITHIN_A_SECOND);
});

test("move() that fails rejects and marks the seek as abandoned", async () => {
  const name = newBucket();
  const consumer: Consumer = { position: "old", waiting: 0 };
  const moving = () => Promise.reject(new Error("no"));
  await using one = await start(name, { owner: "one", consumer, moving });
  await using other = await start(name, { owner: "other", consumer });
  expect(one.clusterSeek.move(START, one.guard)).rejects.toThrow("no");
  for (const { clusterSeek } of [one, other])
    await eventually(() => clusterSeek.isMovedElsewhere, WITHIN_A_SECOND);
  // There is none: it is re-created at the known position.
  for (const { clusterSeek, guard } of [one, other]) await clusterSeek.follow(guard);
  expect([one.forgotten(), other.forgotten()]).toEqual([0, 0]);
});

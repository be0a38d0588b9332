// What the replays of a cluster share, in a real bucket: the lease, the records; and when a scheduled one is due.

import { expect, test } from "bun:test";
import { newReplay, REPLAY_ALL, type ReplayRecord } from "#delivery/replay.ts";
import { initialStatus, type SubscriptionStatus } from "#delivery/status.ts";
import type { Subscription } from "#delivery/subscription.ts";
import { type Bucket, openBucket } from "#bucket/bucket.ts";
import { createLeases, type Lease } from "#replays/lease.ts";
import { createPace } from "#replays/run.ts";
import { createReplayRecords } from "#replays/records.ts";
import { createSchedule } from "#replays/schedule.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import { eventually } from "../support/eventually.ts";
import { connected } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startStopwatch } from "../support/stopwatch.ts";
import { toSubscription } from "../support/subscription.ts";

const LEASE_MS = 6000;
const signal = new AbortController().signal;

/** Two relays with the same bucket. */
async function setUp() {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer());
  const open = async (): Promise<Bucket> => {
    const connection = stack.use(await connected(server.url));
    const bucket = openBucket(connection, {
      name: "relay",
      logger: connection.logger,
      commandPath: null,
      signer: null,
    });
    stack.defer(() => bucket.close());
    expect(await bucket.ready(AbortSignal.timeout(10_000))).toBe(true);
    return bucket;
  };
  const [one, two] = [await open(), await open()];
  const owned = stack.move();
  return { server, one, two, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function recordOf(id: string, changes: Partial<ReplayRecord> = {}): ReplayRecord {
  return { ...newReplay(id, REPLAY_ALL, { maxReplays: null, now: new Date() }), ...changes };
}

test("take() gives the lease to one relay, and to the other after release()", async () => {
  await using own = await setUp();
  const [one, two] = [createLeases(own.one, "one"), createLeases(own.two, "two")];
  const lease = await one.take();
  await eventually(() => own.two.get("replay-lease") !== null);
  expect([lease?.isCurrent(), await two.take()]).toEqual([true, null]);
  await lease?.release();
  const next = await eventually<Lease | undefined>(async () => (await two.take()) ?? undefined);
  expect([lease?.isCurrent(), next?.isCurrent(), await one.take()]).toEqual([false, true, null]);
  await next?.release();
});

test("take() by two relays at once gives the lease to one", async () => {
  await using own = await setUp();
  const leases = await Promise.all([
    createLeases(own.one, "one").take(),
    createLeases(own.two, "two").take(),
  ]);
  expect(leases.filter((lease) => lease !== null)).toHaveLength(1);
  for (const lease of leases) await lease?.release();
});

test("take() gives a lease that ends without renewal before another relay can take it", async () => {
  await using own = await setUp();
  const lease = await createLeases(own.one, "one").take();
  const since = performance.now();
  using watch = startStopwatch();
  await own.server.kill();
  await eventually(() => lease?.lost.aborted === true);
  expect(lease?.isCurrent()).toBe(false);
  watch.expectWithin(0, LEASE_MS - 1000);
  await own.server.restart();
  const others = createLeases(own.two, "two");
  const taken = await eventually<Lease | undefined>(async () => (await others.take()) ?? undefined);
  expect(performance.now() - since).toBeGreaterThan(LEASE_MS - 1500);
  await taken.release();
}, 20_000);

test("change() loses no change of two relays at once", async () => {
  await using own = await setUp();
  const [one, two] = [createReplayRecords(own.one), createReplayRecords(own.two)];
  expect(await one.create(recordOf("a"), signal)).toMatchObject({ kind: "written" });
  expect(await one.create(recordOf("a"), signal)).toEqual({ kind: "refused" });
  await eventually(() => two.find("a") !== null);
  const count = (records: typeof one) =>
    records.change("a", (record) => ({ ...record, cursors: [...record.cursors, 1] }), signal);
  const outcomes = await Promise.all([count(one), count(two), count(one), count(two)]);
  expect(outcomes.map(({ kind }) => kind)).toEqual(["written", "written", "written", "written"]);
  await eventually(() => one.find("a")?.cursors.length === 4 && two.find("a")?.cursors.length === 4);
  expect(await one.change("a", () => null, signal)).toEqual({ kind: "refused" });
  expect(await one.change("b", (record) => record, signal)).toEqual({ kind: "missing" });
});

test("prune() keeps the twenty newest ended replays, and all that have not ended", async () => {
  await using own = await setUp();
  const records = createReplayRecords(own.one);
  const at = (n: number) => new Date(n * 1000).toISOString();
  for (let n = 1; n <= 23; n += 1) {
    await records.create(recordOf(`done-${n}`, { state: "done", startedAt: at(n) }), signal);
  }
  await records.create(recordOf("paused", { state: "paused", startedAt: at(0) }), signal);
  await records.create(recordOf("scheduled-sub", { state: "done", maxReplays: 1, startedAt: at(0) }), signal);
  await records.prune(signal);
  const ids = records.list().map(({ id }) => id);
  expect(ids.slice(0, 20)).toEqual(Array.from({ length: 20 }, (_, index) => `done-${23 - index}`));
  expect(ids.slice(20).toSorted()).toEqual(["paused", "scheduled-sub"]);
});

function runningOf(changes: Partial<Subscription>, status: Partial<SubscriptionStatus> = {}) {
  return {
    subscription: toSubscription({ id: "sub", ...changes }),
    status: () => ({ ...initialStatus("ACCEPTED"), ...status }),
  } as RunningSubscription;
}

test.each<[string, Partial<Subscription>, Partial<SubscriptionStatus>, ReplayRecord | null, boolean]>([
  ["when its interval is over", {}, {}, null, true],
  ["never where it is by hand", { replay: { kind: "manual" } }, {}, null, false],
  ["not before", { replay: { kind: "scheduled", intervalMs: 60_000, maxReplays: 2 } }, {}, null, false],
  ["not while it is paused", {}, { status: "PAUSED" }, null, false],
  ["not while it is interrupted", {}, { consumerStatus: "FAILURE" }, null, false],
  ["not while the last one goes on", {}, {}, recordOf("scheduled-sub"), false],
  [
    "once that has ended",
    {},
    {},
    recordOf("scheduled-sub", { state: "failed", startedAt: "2026-01-01T00:00:00Z" }),
    true,
  ],
  [
    "once a clock that was far ahead was set",
    {},
    {},
    recordOf("scheduled-sub", { state: "done", startedAt: "2999-01-01T00:00:00Z" }),
    true,
  ],
])("due() is %s", (_, changes, status, record, isDue) => {
  const schedule = createSchedule(() => record);
  const subscriptions = [
    runningOf({ replay: { kind: "scheduled", intervalMs: 0, maxReplays: 2 }, ...changes }, status),
  ];
  const due = schedule.due(subscriptions);
  expect(due.map(({ id, maxReplays }) => [id, maxReplays])).toEqual(isDue ? [["scheduled-sub", 2]] : []);
});

test("createPace() starts that many in a second, and ends when its signal aborts", async () => {
  const pace = createPace(50);
  const since = performance.now();
  for (let n = 0; n < 6; n += 1) expect(await pace(signal)).toBe(true);
  const elapsedMs = performance.now() - since;
  expect(elapsedMs).toBeGreaterThanOrEqual(99);
  expect(await createPace(null)(AbortSignal.abort())).toBe(true);
  const slow = createPace(1);
  await slow(signal);
  expect(await slow(AbortSignal.abort())).toBe(false);
});

// Who has a seat of the cluster: one relay at a time, the next one once that is silent, at once where it gives it back.

import { describe, expect, test } from "bun:test";

import { type Bucket, openBucket } from "#bucket/bucket.ts";
import type { BucketEntry, BucketListener } from "#bucket/mirror.ts";
import { createSeats, type SeatResult, type Seats, type SeatsBucket, type Tenure } from "#runtime/seats.ts";

import { eventually } from "../support/eventually.ts";
import { connected, createRecordingLogger } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";

const LEASE_MS = 6000;
const never = new AbortController().signal;

/** A bucket that is everywhere at once, and a clock that is moved by hand. */
function createScript() {
  const entries = new Map<string, BucketEntry>();
  const listeners = new Set<BucketListener>();
  const ticks = new Set<() => void>();
  let revision = 0;
  let now = 0;
  let fault: string | null = null;
  let refused = /^$/u;

  function tell(key: string): void {
    for (const listener of listeners) listener(key, entries.get(key) ?? null);
  }

  const bucket: SeatsBucket = {
    ready: () => Promise.resolve(true),
    fault: () => fault,
    get: (key) => entries.get(key) ?? null,
    async write(key, value, { expectedRevision }) {
      if (fault !== null) return { kind: "unavailable", reason: fault };
      const at = entries.get(key)?.revision ?? 0;
      if (refused.test(key) || at !== expectedRevision) return { kind: "conflict", revision: at };
      revision += 1;
      entries.set(key, { key, value, revision });
      tell(key);
      return { kind: "written", revision };
    },
    async erase(key) {
      entries.delete(key);
      tell(key);
      return { kind: "written", revision: (revision += 1) };
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const logger = createRecordingLogger();
  return {
    bucket,
    logger,
    entries,
    /** Writes of such keys end in a conflict. */
    refuse: (pattern: RegExp) => (refused = pattern),
    writes: () => revision,
    fail: (reason: string | null) => (fault = reason),
    start: (relay: string) => {
      const own = new Set<() => void>();
      const seats = createSeats(bucket, {
        relay,
        host: relay,
        isConnected: () => true,
        logger,
        now: () => now,
        everyTick(act) {
          ticks.add(act);
          own.add(act);
          return () => ticks.delete(act);
        },
      });
      return {
        seats,
        freeze: () => own.forEach((act) => ticks.delete(act)),
        thaw: () => own.forEach((act) => ticks.add(act)),
      };
    },
    async pass(durationMs: number): Promise<void> {
      for (let passed = 0; passed < durationMs; passed += 500) {
        now += 500;
        for (const act of ticks) act();
        // What was begun comes to its end.
        for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
      }
    },
  };
}

function tenureOf(result: SeatResult | null): Tenure {
  if (result?.kind !== "taken") throw new Error(`Not taken: ${JSON.stringify(result)}`);
  return result.tenure;
}

/** What has become of it so far. */
function watch(taking: Promise<SeatResult | null>): { result: SeatResult | null | undefined } {
  const watched: { result: SeatResult | null | undefined } = { result: undefined };
  void taking.then((result) => (watched.result = result));
  return watched;
}

describe("with a clock of its own", () => {
  test("take() gives it to the first, and to the next once the first has been silent for its lease", async () => {
    const script = createScript();
    const [one, two] = [script.start("one"), script.start("two")];
    const tenure = tenureOf(await one.seats.of("billing", LEASE_MS).take(never));
    const second = watch(two.seats.of("billing", LEASE_MS).take(never));
    await script.pass(60_000);
    expect([second.result, tenure.isCurrent(), two.seats.of("billing", 1).holder()?.host]).toEqual([
      undefined,
      true,
      "one",
    ]);
    one.freeze();
    await script.pass(LEASE_MS - 2000);
    expect([second.result, tenure.isCurrent()]).toEqual([undefined, false]);
    await script.pass(2500);
    expect(tenureOf(second.result ?? null).isCurrent()).toBe(true);
    expect([tenure.lost.aborted, one.seats.of("billing", 1).holder()?.host]).toEqual([true, "two"]);
    one.thaw();
    await script.pass(10_000);
    expect(tenureOf(second.result ?? null).isCurrent()).toBe(true);
  });

  test("release() gives it to who waits at once, and so does the end of its relay", async () => {
    const script = createScript();
    const [one, two] = [script.start("one"), script.start("two")];
    const tenure = tenureOf(await one.seats.of("billing", LEASE_MS).take(never));
    tenureOf(await one.seats.of("orders", LEASE_MS).take(never));
    const billing = two.seats.of("billing", LEASE_MS).take(never);
    const orders = two.seats.of("orders", LEASE_MS).take(never);
    await tenure.release();
    tenureOf(await billing);
    await one.seats.close();
    tenureOf(await orders);
    expect(tenure.lost.aborted).toBe(true);
  });

  test("a relay that starts again as who it was has its seats at once, without writing them", async () => {
    const script = createScript();
    const before = script.start("one");
    tenureOf(await before.seats.of("billing", LEASE_MS).take(never));
    before.freeze();
    const since = before.seats.of("billing", LEASE_MS).holder()?.since;
    const after = script.start("one");
    const waiting = watch(script.start("two").seats.of("billing", LEASE_MS).take(never));
    tenureOf(await after.seats.of("billing", LEASE_MS).take(never));
    await script.pass(20_000);
    expect(waiting.result).toBeUndefined();
    expect(after.seats.of("billing", LEASE_MS).holder()?.since).toEqual(since as Date);
  });

  test("a relay on a copy of the state directory takes another identity, and has no seat", async () => {
    const script = createScript();
    const [one, copy] = [script.start("one"), script.start("one")];
    const [first, second] = [one, copy].map(({ seats }) => watch(seats.of("billing", LEASE_MS).take(never)));
    await script.pass(10_000);
    const results = [first, second].flatMap((watched) => watched?.result ?? []);
    expect(results.filter((result) => !tenureOf(result).lost.aborted)).toHaveLength(1);
    expect(script.logger.lines.map(({ message }) => message)).toEqual([
      "Another relay runs on a copy of this state directory: this one takes another identity",
    ]);
  });

  test("a relay that starts again is who it was, also where its first sign of life cannot be written", async () => {
    const script = createScript();
    const before = script.start("one");
    tenureOf(await before.seats.of("billing", LEASE_MS).take(never));
    before.freeze();
    script.refuse(/^relay\./u);
    const taking = script.start("one").seats.of("billing", LEASE_MS).take(never);
    await script.pass(3000);
    script.refuse(/^$/u);
    await script.pass(1000);
    expect(tenureOf(await taking).isCurrent()).toBe(true);
    expect(script.logger.lines).toEqual([]);
  });

  test("take() says that a seat cannot be written, after some time", async () => {
    const script = createScript();
    script.refuse(/^seat\./u);
    const { seats } = script.start("one");
    const taking = watch(seats.of("billing", LEASE_MS).take(never));
    await script.pass(9000);
    expect(taking.result).toBeUndefined();
    await script.pass(3000);
    expect(taking.result).toEqual({ kind: "unusable", reason: "it cannot be written" });
  });

  test("take() says that the bucket cannot be used, after some time, and can be asked again", async () => {
    const script = createScript();
    script.fail("no majority");
    const { seats } = script.start("one");
    const taking = watch(seats.of("billing", LEASE_MS).take(never));
    await script.pass(5000);
    expect(taking.result).toBeUndefined();
    await script.pass(6000);
    expect(taking.result).toEqual({ kind: "unusable", reason: "no majority" });
    script.fail(null);
    tenureOf(await seats.of("billing", LEASE_MS).take(never));
  });

  test("a seat is kept where its relay cannot renew, as long as nobody takes it", async () => {
    const script = createScript();
    const { seats } = script.start("one");
    const tenure = tenureOf(await seats.of("billing", LEASE_MS).take(never));
    script.fail("no majority");
    await script.pass(20_000);
    expect([tenure.lost.aborted, tenure.isCurrent()]).toEqual([false, false]);
    script.fail(null);
    await script.pass(1000);
    expect(tenure.isCurrent()).toBe(true);
  });

  test("take() ends when it is told to, and nothing ticks while there is nothing to do", async () => {
    const script = createScript();
    const [one, two] = [script.start("one"), script.start("two")];
    tenureOf(await one.seats.of("billing", LEASE_MS).take(never));
    const ending = new AbortController();
    const taking = two.seats.of("billing", LEASE_MS).take(ending.signal);
    ending.abort();
    expect(await taking).toBeNull();
    await one.seats.close();
    const writes = script.writes();
    await script.pass(60_000);
    expect(script.writes()).toBe(writes);
  });

  test("a thousand seats cost as many writes once, and one for each third of the shortest lease", async () => {
    const script = createScript();
    const { seats } = script.start("one");
    const names = Array.from({ length: 1000 }, (_, index) => `subscription-${index}`);
    await Promise.all(
      names.map((name, index) => seats.of(name, index === 0 ? LEASE_MS : 30_000).take(never)),
    );
    const before = script.writes();
    expect(before).toBeLessThanOrEqual(1010);
    await script.pass(60_000);
    expect(script.writes() - before).toBeLessThanOrEqual(60_000 / (LEASE_MS / 3));
  });
});

describe("on a server", () => {
  async function setUp() {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await startNatsServer());
    const start = async (relay: string): Promise<{ seats: Seats; bucket: Bucket }> => {
      const connection = stack.use(await connected(server.url));
      const { logger } = connection;
      const bucket = openBucket(connection, { name: "relay", logger, commandPath: null, signer: null });
      stack.defer(() => bucket.close());
      const seats = createSeats(bucket, {
        relay,
        host: relay,
        logger,
        isConnected: () => true,
        now: () => performance.now(),
      });
      stack.defer(() => seats.close());
      return { seats, bucket };
    };
    const relays = { one: await start("one"), two: await start("two") };
    const owned = stack.move();
    return { server, ...relays, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }

  test("two relays take turns as soon as there is a release", async () => {
    await using own = await setUp();
    const tenure = tenureOf(await own.one.seats.of("billing", LEASE_MS).take(never));
    const taking = own.two.seats.of("billing", LEASE_MS).take(never);
    await eventually(() => own.two.seats.of("billing", LEASE_MS).holder()?.host === "one");
    const since = performance.now();
    await tenure.release();
    tenureOf(await taking);
    // Long before the lease ends.
    expect(performance.now() - since).toBeLessThan(LEASE_MS / 2);
    await eventually(() => own.one.seats.of("billing", LEASE_MS).holder()?.host === "two");
  });

  test("only one of two that take it at the same moment has it", async () => {
    await using own = await setUp();
    const ending = new AbortController();
    const takings = [own.one, own.two].map(({ seats }) =>
      watch(seats.of("billing", LEASE_MS).take(ending.signal)),
    );
    await eventually(() => takings.some(({ result }) => result?.kind === "taken"));
    expect(takings.map(({ result }) => result)).toContain(undefined);
    ending.abort();
  });

  test("a holder that does nothing any more is followed after its lease", async () => {
    await using own = await setUp();
    tenureOf(await own.one.seats.of("billing", 2000).take(never));
    // Its connection goes with its bucket: it renews nothing and gives nothing back.
    await own.one.bucket.close();
    const since = performance.now();
    tenureOf(await own.two.seats.of("billing", 2000).take(never));
    expect(performance.now() - since).toBeGreaterThan(1000);
  });
});

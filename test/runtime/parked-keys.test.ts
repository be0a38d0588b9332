// Parked keys on several relays: the active one lists them in the bucket, any other one shows them and asks it to resume one.

import { expect, test } from "bun:test";
import type { BucketEntry, BucketListener } from "#bucket/mirror.ts";
import type { ParkedKey } from "#pipeline/lanes.ts";
import { createParkedKeys } from "#runtime/parked-keys.ts";
import { eventually } from "../support/eventually.ts";
import { toSubscription } from "../support/subscription.ts";

const SINCE = new Date("2026-01-31T12:00:00.000Z");
const LIST = "state.billing.parked";
const REQUEST = "state.billing.unpark";

/** A bucket that is everywhere at once. */
function createMemoryBucket() {
  const entries = new Map<string, BucketEntry>();
  const listeners = new Set<BucketListener>();
  let revision = 0;
  let fault: string | null = null;

  function put(key: string, value: string): number {
    revision += 1;
    entries.set(key, { key, value, revision });
    for (const listener of listeners) listener(key, entries.get(key) ?? null);
    return revision;
  }

  return {
    entries,
    fail: (reason: string) => (fault = reason),
    get: (key: string) => entries.get(key) ?? null,
    put: (key: string, value: string) => void put(key, value),
    remove: (key: string) => void entries.delete(key),
    async write(key: string, value: string) {
      if (fault !== null) return { kind: "unavailable" as const, reason: fault };
      return { kind: "written" as const, revision: put(key, value) };
    },
    onChange(listener: BucketListener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function parked(key: string, changes: Partial<ParkedKey> = {}): ParkedKey {
  return {
    key,
    since: SINCE,
    cause: "Callback answered 422",
    sequence: 7,
    messages: 3,
    failures: 1,
    nextTryAt: new Date("2026-12-01T12:00:40.000Z"),
    ...changes,
  };
}

/** A relay whose subscription has these keys parked, if it is the active one. */
function createRelay(host: string, keys: readonly ParkedKey[] = []) {
  const resumed: string[] = [];
  const state = { active: "edge-1" as string | null, keys };
  const running = {
    subscription: toSubscription({
      qos: "AT_LEAST_ONCE",
      ordering: { key: { kind: "subject" }, onFailure: "key", window: 256 },
    }),
    active: () =>
      state.active === null ? null : { host: state.active, since: SINCE, isHere: state.active === host },
    parked: () => state.keys,
    resumeParked(key: string, { skip }: { skip: boolean }) {
      if (!state.keys.some((one) => one.key === key)) return "not-parked" as const;
      resumed.push(`${key}${skip ? " skipped" : ""}`);
      return "resumed" as const;
    },
  };
  return { running, resumed, state };
}

function start(keys: readonly ParkedKey[]) {
  const bucket = createMemoryBucket();
  const active = createRelay("edge-1", keys);
  const standby = createRelay("edge-2");
  const own = createParkedKeys(bucket, { running: () => [active.running], now: () => performance.now() });
  const others = createParkedKeys(bucket, { running: () => [standby.running], now: () => performance.now() });
  const close = () => {
    own.close();
    others.close();
  };
  return { bucket, active, standby, own, others, [Symbol.dispose]: close };
}

test("list: the relay that stands by shows the keys of the active one", async () => {
  using lab = start([parked("a"), parked("b", { sequence: 9 }), parked("")]);
  await eventually(() => lab.others.list(lab.standby.running).length === 3);
  expect(lab.others.list(lab.standby.running)).toEqual([...lab.active.state.keys]);
});

test("list: what is parked no more leaves the bucket", async () => {
  using lab = start([parked("a")]);
  await eventually(() => lab.bucket.entries.has(LIST));
  lab.active.state.keys = [];
  await eventually(() => !lab.bucket.entries.has(LIST));
  expect(lab.others.list(lab.standby.running)).toEqual([]);
});

test("list: of many keys with long names as many as a value of the bucket holds", async () => {
  const keys = Array.from({ length: 500 }, (_, index) => parked(`${index} ${"x".repeat(2000)}`));
  using lab = start(keys);
  await eventually(() => lab.bucket.entries.has(LIST));
  expect(lab.bucket.get(LIST)?.value.length).toBeLessThan(256 * 1024);
  expect(lab.others.list(lab.standby.running).length).toBeGreaterThan(50);
});

test.each([
  "nonsense",
  '{"a":1}',
  '[null,1,{"key":"a"}]',
  '[{"key":"a","since":"x","cause":"","sequence":1}]',
])("list: skips what cannot be read: %s", (text) => {
  using lab = start([]);
  lab.bucket.put(LIST, text);
  expect(lab.others.list(lab.standby.running)).toEqual([]);
});

test("resume: on the active relay at once", async () => {
  using lab = start([parked("a")]);
  const outcome = await lab.own.resume(lab.active.running, { key: "a", skip: true });
  expect(outcome).toEqual({ kind: "resumed", sequence: 7, host: "edge-1" });
  expect(lab.active.resumed).toEqual(["a skipped"]);
});

test("resume: another relay asks the active one", async () => {
  using lab = start([parked("a"), parked("")]);
  await eventually(() => lab.bucket.entries.has(LIST));
  const ask = (key: string, skip: boolean) => lab.others.resume(lab.standby.running, { key, skip });
  expect(await ask("", false)).toEqual({ kind: "asked", sequence: 7, host: "edge-1" });
  expect(await ask("a", true)).toMatchObject({ kind: "asked" });
  expect(lab.active.resumed).toEqual(["", "a skipped"]);
  expect(await ask("b", false)).toEqual({ kind: "not-parked" });
});

test("resume: a request for an earlier message of the key has no effect", async () => {
  using lab = start([parked("a", { sequence: 8 })]);
  lab.bucket.put(REQUEST, JSON.stringify({ key: "a", sequence: 7, skip: true }));
  expect(lab.active.resumed).toEqual([]);
  lab.bucket.put(REQUEST, JSON.stringify({ key: "a", sequence: 8, skip: true }));
  expect(lab.active.resumed).toEqual(["a skipped"]);
});

test("resume: without the bucket the reason is given", async () => {
  using lab = start([parked("a")]);
  await eventually(() => lab.bucket.entries.has(LIST));
  lab.bucket.fail("NATS is not connected");
  expect(await lab.others.resume(lab.standby.running, { key: "a", skip: false })).toEqual({
    kind: "unavailable",
    reason: "NATS is not connected",
  });
});

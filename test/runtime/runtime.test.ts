// All subscriptions of a relay, while some hang in their drain: what is wanted meanwhile, by one reload or by several.

import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import type { Subscription } from "#delivery/subscription.ts";
import { type Runtime, startRuntime } from "#runtime/runtime.ts";
import { BROKEN, OK, runReady, turnClock } from "../support/scripted-parts.ts";
import { toSubscription } from "../support/subscription.ts";
import { type ScriptedParts, scriptParts, toSettled, withPath } from "./parts.ts";

const GRACE = { graceMs: 5000 };

let started: Runtime[] = [];

beforeEach(() => void jest.useFakeTimers());
afterEach(async () => {
  for (const runtime of started) void runtime.stop(0); // Never rejects.
  started = [];
  await turnClock(5000, 1000);
  const left = jest.getTimerCount();
  jest.useRealTimers();
  expect(left).toBe(0);
});

function subscription(id: string, changes: Partial<Subscription> = {}): Subscription {
  return toSubscription({ id, ...changes });
}

/** What needs another consumer: the subscription is drained for it. */
function withSubject(wanted: Subscription, subject: string): Subscription {
  return { ...wanted, source: { ...wanted.source, filterSubjects: [subject] } };
}

function start(...wanted: Subscription[]) {
  /** Of each id, those of each time that it was started. */
  const parts = new Map<string, ScriptedParts[]>();
  const drained: string[] = [];
  let fault: string | null = null;
  let isConnected = true;
  const runtime = startRuntime(wanted, {
    partsFor({ id }) {
      const own = scriptParts();
      parts.set(id, [...(parts.get(id) ?? []), own]);
      return own.parts;
    },
    onDrained: ({ subscription: { id } }) => Promise.resolve(void drained.push(id)),
    isConnected: () => isConnected,
    checks: () => [Promise.resolve(fault)],
    clusterFaults: () => [],
  });
  started.push(runtime);
  return {
    runtime,
    drained,
    starts: (id: string) => parts.get(id)?.length ?? 0,
    newest(id: string): ScriptedParts {
      const last = parts.get(id)?.at(-1);
      if (last === undefined) throw new Error(`${id} was never started`);
      return last;
    },
    turn: (next: { fault?: string | null; isConnected?: boolean }) => {
      fault = next.fault ?? null;
      isConnected = next.isConnected ?? true;
    },
  };
}

/** `a` has a request in flight that hangs. */
async function startHanging(...others: Subscription[]) {
  const own = start(subscription("a"), ...others);
  await runReady();
  own.newest("a").pump.deliver(1);
  await runReady();
  return own;
}

test("startRuntime() throws where one subscription would run twice", () => {
  const options = {
    // Nobody can stop the first one: it waits for NATS, without a timer.
    partsFor: () => scriptParts({ connected: () => Promise.resolve(false) }).parts,
    onDrained: () => Promise.resolve(),
    isConnected: () => false,
    checks: () => [],
    clusterFaults: () => [],
  };
  const twice = [subscription("a"), subscription("a")];
  expect(() => startRuntime(twice, options)).toThrow("a is running already");
});

test("apply() starts what is new and drains what is gone, and leaves the others alone", async () => {
  const own = start(subscription("a"), subscription("b"));
  await runReady();
  const { plan, settled } = own.runtime.apply([subscription("b"), subscription("c")], GRACE);
  expect([plan.stop, plan.start.map(({ id }) => id), plan.keep]).toEqual([["a"], ["c"], ["b"]]);
  await settled;
  expect([own.drained, own.runtime.size, own.runtime.find("a")]).toEqual([["a"], 2, null]);
  expect(["a", "b", "c"].map(own.starts)).toEqual([1, 1, 1]);
  expect(own.newest("a").guard.isClosed).toBe(true);
});

test("apply() of new terms changes the callback, without a drain", async () => {
  const own = await startHanging();
  const { plan, settled } = own.runtime.apply([withPath(subscription("a"), "/new")], GRACE);
  await settled;
  expect([plan.update.length, own.drained, own.starts("a")]).toEqual([1, [], 1]);
  expect(own.newest("a").callbacks.map(({ closedWithMs }) => closedWithMs)).toEqual([null, null]);
});

test("apply() of another consumer drains a callback that hangs for the grace, then starts anew; others start at once", async () => {
  const own = await startHanging();
  const next = withSubject(subscription("a"), "orders.b");
  const { settled } = own.runtime.apply([next, subscription("b")], GRACE);
  const watched = toSettled(settled);
  await turnClock(4500, 500);
  expect([own.starts("a"), own.starts("b"), watched.isSettled]).toEqual([1, 1, false]);
  expect(own.runtime.find("a")?.subscription.source.filterSubjects).toEqual([]);
  expect(own.runtime.wanted("a")?.source.filterSubjects).toEqual(["orders.b"]);
  await turnClock(1000, 500);
  expect([own.starts("a"), watched.isSettled]).toEqual([2, true]);
  expect(own.runtime.find("a")?.subscription.source.filterSubjects).toEqual(["orders.b"]);
});

test("two applies while one drains: only the last one is started", async () => {
  const own = await startHanging();
  own.runtime.apply([withSubject(subscription("a"), "orders.b")], GRACE);
  own.runtime.apply([withSubject(subscription("a"), "orders.c")], GRACE);
  own.runtime.apply([withPath(withSubject(subscription("a"), "orders.c"), "/new")], GRACE);
  await turnClock(5500, 500);
  expect([own.starts("a"), own.drained]).toEqual([2, ["a"]]);
  expect(own.runtime.find("a")?.subscription).toEqual(
    withPath(withSubject(subscription("a"), "orders.c"), "/new"),
  );
});

test("one that is removed, and wanted again while it drains, is started once it has", async () => {
  const own = await startHanging();
  own.runtime.apply([], GRACE);
  const { plan } = own.runtime.apply([subscription("a")], GRACE);
  expect(plan.start.map(({ id }) => id)).toEqual(["a"]);
  expect(own.starts("a")).toBe(1);
  own.newest("a").callback.answer(OK);
  await runReady();
  expect([own.starts("a"), own.runtime.size, own.runtime.find("a")?.state().kind]).toEqual([2, 1, "running"]);
});

test("one that is wanted anew, and removed while it drains, is not started", async () => {
  const own = await startHanging();
  own.runtime.apply([withSubject(subscription("a"), "orders.b")], GRACE);
  own.runtime.apply([], GRACE);
  await turnClock(5500, 500);
  expect([own.starts("a"), own.runtime.size]).toEqual([1, 0]);
});

test("stop() while one drains ends it within the shorter grace, and starts nothing any more", async () => {
  const own = await startHanging();
  own.runtime.apply([withSubject(subscription("a"), "orders.b")], { graceMs: 3_600_000 });
  const stopped = toSettled(own.runtime.stop(1000));
  own.runtime.apply([subscription("a"), subscription("b")], GRACE);
  await turnClock(1500, 500);
  expect([stopped.isSettled, own.starts("a"), own.starts("b")]).toEqual([true, 1, 0]);
  expect(own.newest("a").answers).toEqual(["nak 1"]);
});

test("readiness() has the reason of each fault, and names what rests without being at fault", async () => {
  const own = start(subscription("a"), subscription("b", { resume: { kind: "manual" } }));
  await runReady();
  expect(own.runtime.readiness()).toEqual({ isReady: true, reasons: [], idle: [] });
  own.newest("b").pump.deliver(1);
  await runReady();
  own.newest("b").callback.answer(BROKEN);
  await runReady();
  expect(own.runtime.readiness()).toMatchObject({ isReady: true, idle: [expect.stringContaining("b")] });
  own.newest("a").pump.handlers.onUsable("no rights");
  expect(own.runtime.readiness().reasons).toEqual(["Subscription a: no rights"]);
  own.newest("a").pump.handlers.onUsable(null);
  own.turn({ fault: "stream DLQ is full" });
  await turnClock(2500, 500);
  expect(own.runtime.readiness().reasons).toEqual(["stream DLQ is full"]);
  own.turn({ isConnected: false });
  expect(own.runtime.readiness().reasons).toContain("NATS is not connected");
});

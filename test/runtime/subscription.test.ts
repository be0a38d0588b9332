// Each transition of a subscription, with a pump, a callback and a clock that the test moves.

import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import type { Subscription } from "#delivery/subscription.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import { startSubscription, type SubscriptionParts } from "#runtime/subscription.ts";
import { toMessage } from "../callback/setup.ts";
import { BROKEN, OK, runReady, turnClock } from "../support/scripted-parts.ts";
import { toSubscription } from "../support/subscription.ts";
import { ALIGNED, scriptParts, toSettled, withPath } from "./parts.ts";

const RETRY = { kind: "linear", maxAttempts: 9, initialDelayMs: 1000, maxDelayMs: 1000 } as const;
const RESUME = { kind: "auto", initialDelayMs: 10_000, maxDelayMs: 10_000 } as const;

let started: RunningSubscription[] = [];

beforeEach(() => void jest.useFakeTimers());
afterEach(async () => {
  for (const subscription of started) void subscription.stop(0); // Never rejects.
  started = [];
  await turnClock(5000, 1000);
  const left = jest.getTimerCount();
  jest.useRealTimers();
  expect(left).toBe(0);
});

function start(changes: Partial<Subscription> = {}, parts: Partial<SubscriptionParts> = {}) {
  const own = scriptParts(parts);
  const subscription = startSubscription(toSubscription(changes), own.parts);
  started.push(subscription);
  return Object.assign(own, { subscription, kind: () => subscription.state().kind });
}

/** One whose message 1 was answered with a server error, which interrupts it. */
async function startInterrupted(changes: Partial<Subscription> = {}) {
  const own = start(changes);
  await runReady();
  own.pump.deliver(1);
  await runReady();
  own.callback.answer(BROKEN);
  await runReady();
  expect([own.kind(), own.cell.current.consumerStatus]).toEqual(["failed", "FAILURE"]);
  return own;
}

test("waiting, until NATS is connected and its consumer aligned; then it consumes", async () => {
  let connect: (isConnected: boolean) => void = () => {};
  const connected = new Promise<boolean>((resolve) => (connect = resolve));
  const own = start({}, { connected: () => connected, isConnected: () => false });
  await runReady();
  expect([own.subscription.state().kind, own.pumps.length]).toEqual(["waiting", 0]);
  connect(true);
  await runReady();
  expect([own.kind(), own.pumps.length]).toEqual(["running", 1]);
});

test("paused or stopped: what is in flight ends, nothing begins; resumed, it consumes again", async () => {
  for (const [rest, end, ended] of [
    ["pause", "resume", "paused"],
    ["stop", "start", "stopped"],
  ] as const) {
    const own = start({ callback: { ...toSubscription().callback, maxConcurrentConnections: 1 } });
    await runReady();
    own.pump.deliver(1);
    own.pump.deliver(2);
    await runReady();
    await own.subscription.command({ kind: rest });
    await runReady();
    expect([own.kind(), own.answers, own.pump.isStopped]).toEqual([ended, ["nak 2"], true]);
    await turnClock(60_000, 5000);
    own.callback.answer(OK);
    await runReady();
    expect([own.answers, own.endings]).toEqual([
      ["nak 2", "ack 1"],
      ["2 returned", "1 delivered"],
    ]);
    await own.subscription.command(end === "resume" ? { kind: end, skip: false } : { kind: end });
    await runReady();
    expect([own.kind(), own.pumps.length]).toEqual(["running", 2]);
  }
});

test("resumed while what was in flight still hangs: no second pipeline before the first one has ended", async () => {
  const own = start();
  await runReady();
  own.pump.deliver(1);
  await runReady();
  await own.subscription.command({ kind: "pause" });
  await runReady();
  await own.subscription.command({ kind: "resume", skip: false });
  await turnClock(60_000, 5000);
  expect([own.pumps.length, own.kind()]).toEqual([1, "waiting"]);
  own.callback.answer(OK);
  await runReady();
  expect([own.pumps.length, own.kind()]).toEqual([2, "running"]);
});

test("scheduled before startingAt, closed from endingAt on; what is in flight then ends by its own limit", async () => {
  const now = Date.now();
  const own = start({ startingAt: new Date(now + 5000), endingAt: new Date(now + 20_000) });
  await turnClock(4000, 500);
  expect([own.kind(), own.pumps.length]).toEqual(["scheduled", 0]);
  await turnClock(2000, 500);
  expect(own.kind()).toBe("running");
  own.pump.deliver(1);
  await turnClock(60_000, 5000);
  expect([own.kind(), own.pump.isStopped, own.endings]).toEqual(["running", true, []]);
  own.callback.answer(OK);
  await runReady();
  expect([own.kind(), own.answers]).toEqual(["closed", ["ack 1"]]);
  await own.subscription.stop(0);
  expect(own.kind()).toBe("closed");
});

test("failed, until a start; by itself never where it is resumed by hand", async () => {
  const own = await startInterrupted();
  expect(own.answers).toEqual(["nak 1"]);
  await turnClock(3_600_000, 600_000);
  expect(own.pumps.length).toBe(1);
  await own.subscription.command({ kind: "start" });
  await runReady();
  expect([own.kind(), own.pumps.length]).toEqual(["running", 2]);
});

test("failed, a probe takes one message after the delay, and stays failed until it is delivered", async () => {
  const own = await startInterrupted({ resume: RESUME });
  await turnClock(9500, 500);
  expect(own.pumps.length).toBe(1);
  expect(own.subscription.nextTryAt()).toBeInstanceOf(Date);
  await turnClock(2000, 500);
  expect([own.pumps.length, own.pump.capacities, own.kind()]).toEqual([2, [1], "failed"]);
  own.pump.deliver(1);
  await runReady();
  expect(own.kind()).toBe("failed");
  expect(own.subscription.nextTryAt()).toBeNull();
  own.callback.answer(OK);
  await runReady();
  expect([own.kind(), own.cell.current.consumerStatus]).toEqual(["running", "STARTED"]);
  expect(own.pump.capacities.length).toBe(2);
});

test("a probe that fails is followed by another one", async () => {
  const own = await startInterrupted({ resume: RESUME });
  await turnClock(11_500, 500);
  own.pump.deliver(1);
  await runReady();
  own.callback.answer(BROKEN);
  await runReady();
  expect([own.kind(), own.pumps.length]).toEqual(["failed", 2]);
  await turnClock(11_500, 500);
  expect([own.kind(), own.pumps.length]).toEqual(["failed", 3]);
});

test("a consumer that is lost while a probe is out: the next pump is the probe's too, and the message is sent once", async () => {
  const own = await startInterrupted({ resume: RESUME });
  await turnClock(11_500, 500);
  own.pump.deliver(1);
  await runReady();
  own.pump.handlers.onLost("consumer deleted");
  await turnClock(2000, 500);
  expect([own.pumps.length, own.pumps[1]?.isStopped, own.pump.capacities]).toEqual([3, true, [1]]);
  expect([own.pump.handlers.held, own.kind()]).toEqual([1, "failed"]);
  own.pump.deliver(1, { deliveryCount: 2 });
  await runReady();
  own.callback.answer(OK);
  await runReady();
  expect(own.callback.sequences()).toEqual([1, 1]);
  expect([own.kind(), own.answers, own.pump.released]).toEqual(["running", ["nak 1", "ack 1"], 2]);
});

test("a failure in another relay ends the consuming here too, also where a probe has recovered it before", async () => {
  const own = await startInterrupted({ resume: RESUME });
  await turnClock(11_500, 500);
  own.pump.deliver(1);
  await runReady();
  own.callback.answer(OK);
  await runReady();
  own.pump.deliver(2);
  await runReady();
  own.cell.fail({ text: "Callback answered 500", at: new Date(), message: null });
  await runReady();
  expect([own.kind(), own.pump.isStopped, own.pumps.length]).toEqual(["failed", true, 2]);
  own.callback.answer(OK);
  await runReady();
  // What was in flight is no probe: its delivery ends no failure.
  expect([own.kind(), own.answers.at(-1)]).toEqual(["failed", "ack 2"]);
});

test("a seek in another relay: it lets go of the consumer, and consumes again once that has ended, with nothing done", async () => {
  const own = start();
  await runReady();
  own.pump.deliver(1);
  await runReady();
  own.callback.answer(OK);
  await runReady();
  const mark = { id: "seek", phase: "moving", by: "another relay", beat: 0 } as const;
  own.cell.seekMarks.end(mark);
  await turnClock(5000, 500);
  expect([own.kind(), own.pump.isStopped, own.pumps.length]).toEqual(["waiting", true, 1]);
  expect(own.guard.done).toEqual([1]);
  own.cell.seekMarks.end({ ...mark, phase: "moved" });
  await runReady();
  expect([own.kind(), own.pumps.length, own.guard.done]).toEqual(["running", 2, []]);
});

test("a pause while a probe is out ends it, and it is paused, not failed", async () => {
  const own = await startInterrupted({ resume: RESUME });
  await turnClock(11_500, 500);
  own.pump.deliver(1);
  await runReady();
  await own.subscription.command({ kind: "pause" });
  await runReady();
  expect(own.kind()).toBe("paused");
  own.callback.answer(OK);
  await turnClock(60_000, 5000);
  expect([own.kind(), own.pumps.length]).toEqual(["paused", 2]);
});

test("update() while a message waits for its retry: the retry goes to the new callback, without a break", async () => {
  const own = start({ retry: RETRY });
  await runReady();
  own.pump.deliver(1);
  await runReady();
  own.callback.answer(BROKEN);
  await runReady();
  expect(own.subscription.stats().retrying).toBe(1);
  own.subscription.update(withPath(toSubscription({ retry: RETRY }), "/new"));
  await runReady();
  const [before, after] = own.callbacks;
  expect([before?.closedWithMs, own.subscription.stats().retrying]).toEqual([0, 1]);
  await turnClock(1200);
  expect([before?.sequences(), after?.sequences()]).toEqual([[1], [1]]);
  after?.answer(OK);
  await runReady();
  expect([own.answers, own.pumps.length, own.kind()]).toEqual([["ack 1"], 1, "running"]);
});

test("update() while a request hangs: it ends on the old callback, which is closed then", async () => {
  const own = start();
  await runReady();
  own.pump.deliver(1);
  await runReady();
  own.subscription.update(withPath(toSubscription(), "/new"));
  own.pump.deliver(2);
  await runReady();
  const [before, after] = own.callbacks;
  expect([before?.closedWithMs, before?.sequences(), after?.sequences()]).toEqual([null, [1], [2]]);
  before?.answer(OK);
  await runReady();
  expect([before?.closedWithMs, after?.closedWithMs]).toEqual([0, null]);
});

test("update() ends a FAILURE", async () => {
  const own = await startInterrupted();
  own.subscription.update(withPath(toSubscription(), "/mended"));
  await runReady();
  expect([own.kind(), own.cell.current.consumerStatus]).toEqual(["running", "STARTED"]);
});

test("seek() ends what hangs after its grace, moves the consumer, and consumes from there", async () => {
  const moved: unknown[] = [];
  const own = start({}, { moveConsumer: (_settings, to) => Promise.resolve((moved.push(to), ALIGNED)) });
  await runReady();
  own.pump.deliver(1);
  await runReady();
  const seeking = toSettled(own.subscription.seek({ kind: "all" }));
  await turnClock(4500, 500);
  expect([moved, seeking.isSettled, own.pump.isStopped]).toEqual([[], false, true]);
  await turnClock(1000, 500);
  expect([moved, seeking.isSettled, own.answers]).toEqual([[{ kind: "all" }], true, ["nak 1"]]);
  expect([own.pumps.length, own.kind()]).toEqual([2, "running"]);
});

test("stop() gives a callback that hangs its grace, gives its message back, and closes guard and callback", async () => {
  const own = start();
  await runReady();
  own.pump.deliver(1);
  await runReady();
  const stopped = toSettled(own.subscription.stop(5000));
  await turnClock(4500, 500);
  expect([stopped.isSettled, own.answers, own.pump.isStopped]).toEqual([false, [], true]);
  await turnClock(1000, 500);
  expect([stopped.isSettled, own.answers, own.kind()]).toEqual([true, ["nak 1"], "stopped"]);
  expect([own.guard.isClosed, own.callback.closedWithMs]).toEqual([true, 0]);
});

test("stop() called again shortens the grace", async () => {
  const own = start();
  await runReady();
  own.pump.deliver(1);
  await runReady();
  const first = toSettled(own.subscription.stop(3_600_000));
  await turnClock(1000, 500);
  const second = toSettled(own.subscription.stop(0));
  await turnClock(200);
  expect([first.isSettled, second.isSettled, own.answers]).toEqual([true, true, ["nak 1"]]);
});

const never = () => new Promise<never>(() => {});
const untilAborted = (signal: AbortSignal) =>
  new Promise<boolean>((resolve) => signal.addEventListener("abort", () => resolve(false)));

test.each<[string, Partial<SubscriptionParts>]>([
  ["NATS is not connected", { connected: untilAborted }],
  ["its guard cannot be opened", { openGuard: () => Promise.reject(new Error("read-only file system")) }],
  ["its consumer cannot be aligned", { alignConsumer: () => Promise.reject(new Error("no stream")) }],
  ["its consumer is being read", { readConsumer: never }],
])("stop() ends at once while %s", async (_what, parts) => {
  const own = start({}, parts);
  await turnClock(700);
  const stopped = toSettled(own.subscription.stop(60_000));
  await runReady();
  expect([stopped.isSettled, own.kind()]).toEqual([true, "stopped"]);
});

test("stop() before its first turn starts nothing", async () => {
  const own = start();
  await own.subscription.stop(0);
  expect([own.kind(), own.pumps.length, own.callback.closedWithMs]).toEqual(["stopped", 0, 0]);
});

test("seek() of a subscription that has stopped is refused", async () => {
  const own = start();
  await own.subscription.stop(0);
  expect(own.subscription.seek({ kind: "all" })).rejects.toThrow("stopped");
});

test("a consumer that is gone while NATS was silent: nothing is given back, and it consumes anew", async () => {
  let contactAt = performance.now();
  const own = start({}, { lastPongAt: () => contactAt });
  await runReady();
  own.pump.deliver(1);
  await turnClock(21_000, 500);
  expect([own.answers, own.endings, own.pumps.length]).toEqual([[], ["1 returned"], 2]);
  contactAt = performance.now();
  own.pump.deliver(1, { deliveryCount: 2 });
  await runReady();
  own.callback.answer(OK);
  await runReady();
  expect(own.answers).toEqual(["ack 1"]);
});

test("test() sends at once, though it is paused, and settles nothing", async () => {
  const own = start();
  await own.subscription.command({ kind: "pause" });
  await runReady();
  const tested = own.subscription.test(toMessage());
  await runReady();
  own.callback.answer(BROKEN);
  expect((await tested).outcome).toEqual(BROKEN);
  expect([own.kind(), own.endings]).toEqual(["paused", []]);
});

// Ticks and alarms come together, at their interval or when they are due, until they are stopped.

import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { onNextTick, sleepUntilTick, startAlarm, startTicks } from "#lib/ticks.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** When each tick came. */
function startWatched(intervalMs: number): { readonly at: number[] } & Disposable {
  const at: number[] = [];
  return { at, [Symbol.dispose]: startTicks(intervalMs, () => at.push(performance.now())) };
}

test("startTicks() ticks at multiples of its interval, together with longer intervals", () => {
  using first = startWatched(50);
  jest.advanceTimersByTime(67);
  using second = startWatched(50);
  jest.advanceTimersByTime(17);
  using slow = startWatched(100);
  jest.advanceTimersByTime(236);
  expect(first.at).toEqual([51, 101, 151, 201, 251, 301]);
  expect(second.at).toEqual([101, 151, 201, 251, 301]);
  expect(slow.at).toEqual([101, 201, 301]);
});

test("startTicks() returns a function that stops it, also from within", () => {
  using clock = startWatched(20);
  let ticks = 0;
  const stop = startTicks(20, () => {
    ticks += 1;
    stop();
  });
  jest.advanceTimersByTime(100);
  expect(clock.at).toHaveLength(4);
  expect(ticks).toBe(1);
});

test("onNextTick() acts once, unless it is cancelled", () => {
  const at: number[] = [];
  const start = performance.now();
  onNextTick(50, () => at.push(performance.now() - start));
  const callOff = onNextTick(50, () => at.push(-1));
  callOff();
  jest.advanceTimersByTime(500);
  expect(at).toHaveLength(1);
  expect(at[0]).toBeLessThanOrEqual(51);
});

test("sleepUntilTick() resolves on the next tick, or at once when its signal aborts", async () => {
  const leaving = new AbortController();
  const slept = sleepUntilTick(50, leaving.signal);
  jest.advanceTimersByTime(60);
  expect(await slept).toBe(true);
  const ended = sleepUntilTick(50, leaving.signal);
  leaving.abort();
  expect(await ended).toBe(false);
  expect(await sleepUntilTick(50, leaving.signal)).toBe(false);
  expect(jest.getTimerCount()).toBe(0);
});

test("startAlarm() acts on the first tick, then on the first tick after the time that `act` returns", () => {
  const at: number[] = [];
  const dues = [330, 340, 900];
  const alarm = startAlarm(100, () => {
    at.push(Math.floor(performance.now() / 100));
    return dues.shift() ?? Number.POSITIVE_INFINITY;
  });
  jest.advanceTimersByTime(2000);
  alarm.end();
  expect(at).toEqual([1, 4, 5, 9]);
});

test("soon() acts on the next tick, and not twice on one tick", () => {
  const at: number[] = [];
  const alarm = startAlarm(100, () => {
    at.push(Math.floor(performance.now() / 100));
    return 100_000;
  });
  jest.advanceTimersByTime(450);
  alarm.soon();
  alarm.soon();
  jest.advanceTimersByTime(1000);
  alarm.end();
  alarm.soon();
  jest.advanceTimersByTime(1000);
  expect(at).toEqual([1, 5]);
});

test("startAlarm() allows end() and soon() from within; other alarms continue", () => {
  let first = 0;
  let others = 0;
  const own = startAlarm(100, () => {
    first += 1;
    other.end();
    own.soon();
    if (first === 3) own.end();
    return 100_000;
  });
  const other = startAlarm(100, () => (others += 1));
  const last = startAlarm(100, () => {
    others += 10;
    return 100_000;
  });
  jest.advanceTimersByTime(1000);
  last.end();
  expect(first).toBe(3);
  expect(others).toBe(10);
});

// Ticks come together, at their interval, until they are stopped.

import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { startTicks } from "#lib/ticks.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** When each tick came. */
function startWatched(intervalMs: number): { readonly at: number[] } & Disposable {
  const at: number[] = [];
  return { at, [Symbol.dispose]: startTicks(intervalMs, () => at.push(performance.now())) };
}

test("startTicks() ticks at multiples of its interval, together with those of a multiple of it", () => {
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

test("startTicks() ends with what it returns, also from within", () => {
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

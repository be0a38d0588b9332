// Ticks come together, at their interval, until they are stopped.

import { expect, test } from "bun:test";
import { startTicks } from "#lib/ticks.ts";
import { eventually } from "../support/eventually.ts";

/** When each tick came. */
function startWatched(intervalMs: number): { readonly at: number[] } & Disposable {
  const at: number[] = [];
  return { at, [Symbol.dispose]: startTicks(intervalMs, () => at.push(performance.now())) };
}

test("startTicks() ticks at multiples of its interval, together with those of a multiple of it", async () => {
  using first = startWatched(50);
  await eventually(() => first.at.length >= 1);
  using second = startWatched(50);
  using slow = startWatched(100);
  await eventually(() => slow.at.length >= 3);
  expect(second.at.length).toBeGreaterThanOrEqual(4);
  for (const ticks of [second, slow])
    for (const at of ticks.at) expect(distanceTo(at, first.at)).toBeLessThan(10);
  const [start = 0, ...rest] = first.at;
  expect(((first.at.at(-1) ?? 0) - start) / rest.length).toBeWithin(45, 70);
});

function distanceTo(at: number, others: readonly number[]): number {
  return Math.min(...others.map((other) => Math.abs(other - at)));
}

test("startTicks() ends with what it returns, also from within", async () => {
  using clock = startWatched(20);
  let ticks = 0;
  const stop = startTicks(20, () => {
    ticks += 1;
    stop();
  });
  await eventually(() => clock.at.length >= 4);
  expect(ticks).toBe(1);
});

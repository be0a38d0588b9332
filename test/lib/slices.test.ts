// Slices of long computations: the event loop gets its turns, however many compute at once, and nobody waits for nothing.

import { expect, test } from "bun:test";
import { pause } from "#lib/slices.ts";
import { countTurns } from "../support/event-loop.ts";
import { startStopwatch } from "../support/stopwatch.ts";

function workFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

async function compute(steps: number): Promise<void> {
  for (let step = 0; step < steps; step += 1) {
    await pause();
    workFor(1);
  }
}

test("pause() lets the event loop turn during twenty computations", async () => {
  const turns = await countTurns(() => Promise.all(Array.from({ length: 20 }, () => compute(20))));
  // 400 ms of work in slices of 8 ms; in one go, or in slices that all end in the same turn, it is 20 turns at the most.
  expect(turns).toBeGreaterThan(40);
});

test("pause() resolves at once during a slice", async () => {
  await compute(1);
  using watch = startStopwatch();
  for (let step = 0; step < 2000; step += 1) await pause();
  watch.expectWithin(0, 1000);
});

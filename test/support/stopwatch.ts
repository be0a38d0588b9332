// Measures how long something took, less the time in which a busy machine let the test's process wait.

import { expect } from "bun:test";

const TICK_MS = 5;

export interface Stopwatch extends Disposable {
  /** In which this process did nothing, though it was due. */
  readonly stalledMs: () => number;
  /** Since the start; without the stalls no more than `mostMs`. */
  readonly expectWithin: (leastMs: number, mostMs: number) => void;
}

export function startStopwatch(): Stopwatch {
  const startedAt = performance.now();
  let lastAt = startedAt;
  let stalled = 0;
  const timer = setInterval(tick, TICK_MS);

  function tick(): void {
    const now = performance.now();
    stalled += Math.max(0, now - lastAt - TICK_MS);
    lastAt = now;
  }

  function stalledMs(): number {
    tick();
    return stalled;
  }

  return {
    stalledMs,
    expectWithin(leastMs, mostMs) {
      const elapsedMs = performance.now() - startedAt;
      expect(elapsedMs).toBeGreaterThanOrEqual(leastMs);
      expect(elapsedMs - stalledMs()).toBeLessThan(mostMs);
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

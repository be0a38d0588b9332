// Many that wait for one reason try seldom, each; together as often as a few do. Whoever gets on wakes others.

import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { createSharedBackoff } from "#runtime/shared-backoff.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const FULL = "no room for another consumer";

/** Of `count` that wait `delayMs` for one reason, how many are over after each second. */
function startWaits(count: number, { delayMs }: { delayMs: number }) {
  const leaving = new AbortController();
  const pause = createSharedBackoff();
  let over = 0;
  const waits = Array.from({ length: count }, async () => {
    const isElapsed = await pause.wait(FULL, { delayMs, signal: leaving.signal });
    over += 1;
    return isElapsed;
  });
  const pass = async (ms: number) => {
    jest.advanceTimersByTime(ms);
    for (let i = 0; i < 10; i += 1) await Promise.resolve();
    return over;
  };
  return { pause, waits, leaving, pass };
}

test("wait() of a few lasts the delay", async () => {
  const { pass } = startWaits(60, { delayMs: 1000 });
  expect(await pass(999)).toBe(0);
  expect(await pass(1)).toBe(60);
});

test("wait() of very many is spread, from the delay upwards", async () => {
  const { pass } = startWaits(1900, { delayMs: 30_000 });
  expect(await pass(29_999)).toBe(0);
  const after = await pass(30_000);
  expect(after).toBeGreaterThan(10);
  expect(after).toBeLessThan(400);
  expect(await pass(1_000_000)).toBe(1900);
});

test("passed() wakes some waiters of that reason, and no others", async () => {
  const { pause, pass, leaving } = startWaits(100, { delayMs: 30_000 });
  const elsewhere = pause.wait("another reason", { delayMs: 1000, signal: leaving.signal });
  pause.passed("another reason still");
  expect(await pass(0)).toBe(0);
  pause.passed(FULL);
  expect(await pass(0)).toBe(16);
  leaving.abort();
  expect(await elsewhere).toBe(false);
});

test("wait() ends with false when its signal aborts", async () => {
  const { waits, leaving } = startWaits(3, { delayMs: 30_000 });
  leaving.abort();
  expect(await Promise.all(waits)).toEqual([false, false, false]);
  expect(jest.getTimerCount()).toBe(0);
});

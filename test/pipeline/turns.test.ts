// Slots at a pace: rate limits, what they count, and the number of requests at a time after an outage. On a fake clock.

import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import type { Outcome } from "#delivery/outcome.ts";
import { createTurns } from "#pipeline/turns.ts";
import { NO_ANSWER, NO_DESCRIPTOR, OK, runReady, turnClock } from "../support/scripted-parts.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const NEVER = new AbortController().signal;
const BUSY: Outcome = { kind: "server-error", status: 503, retryAfterMs: null };
const sent = (outcome: Outcome, durationMs = 0) => ({ outcome, durationMs });

/** Takes turns that end at once, and tells when each began. */
function takeTurns(turns: ReturnType<typeof createTurns>, count: number, line?: "live" | "replay"): number[] {
  const begun: number[] = [];
  const from = performance.now();
  for (let index = 0; index < count; index += 1)
    void (async () => {
      if (!(await turns.begin(NEVER, line))) return;
      begun.push(Math.round(performance.now() - from));
      turns.end(sent(OK));
    })();
  return begun;
}

test("begin() starts a full burst at once, then one for each token, live messages and replays in turn", async () => {
  const turns = createTurns(20, { rateLimit: { requests: 2, perSeconds: 1, burst: 2 } });
  const live = takeTurns(turns, 3);
  const replays = takeTurns(turns, 2, "replay");
  await turnClock(2000);
  expect(live).toEqual([0, 0, 1000]);
  expect(replays).toEqual([500, 1500]);
});

test("end() gives back the token of a turn in which nothing was sent", async () => {
  const turns = createTurns(1, { rateLimit: { requests: 1, perSeconds: 86_400, burst: 1 } });
  expect(await turns.begin(NEVER)).toBe(true);
  turns.end(null);
  expect(await turns.begin(NEVER)).toBe(true);
  turns.end(sent(OK));
  const begun = takeTurns(turns, 1);
  await turnClock(120_000, 10_000);
  expect([begun, turns.taken]).toEqual([[], 0]);
  expect(turns.pace.waitMs).toBeWithin(86_270_000, 86_290_000);
});

test("resize() with another rate limit goes on from the tokens that are left, and wakes what waits", async () => {
  const turns = createTurns(1, { rateLimit: { requests: 1, perSeconds: 86_400, burst: 1 } });
  const begun = takeTurns(turns, 3);
  await turnClock(1000);
  turns.resize(1, { requests: 10, perSeconds: 1, burst: 10 });
  await turnClock(250);
  expect(begun).toEqual([0, 1100, 1200]);
  takeTurns(turns, 30);
  turns.resize(1, null);
  await runReady();
  expect(turns.taken).toBe(0);
});

test("begin() that waits for the rate ends when its signal aborts, and takes no token", async () => {
  const turns = createTurns(1, { rateLimit: { requests: 1, perSeconds: 10, burst: 1 } });
  takeTurns(turns, 1);
  const leaving = new AbortController();
  const left = turns.begin(leaving.signal);
  leaving.abort();
  expect(await left).toBe(false);
  const begun = takeTurns(turns, 1);
  await turnClock(10_000, 500);
  expect(begun).toEqual([10_000]);
});

test("restart() begins with one at a time; the number doubles with each second in which something was answered", async () => {
  const turns = createTurns(20);
  expect(turns.pace.places).toBe(20);
  turns.restart();
  const numbers: number[] = [];
  for (let second = 0; second < 7; second += 1) {
    numbers.push(turns.pace.places);
    for (let tenth = 0; tenth < 11; tenth += 1) {
      takeTurns(turns, 1);
      await turnClock(100, 100);
    }
  }
  expect(numbers).toEqual([1, 2, 4, 8, 16, 20, 20]);
});

test("restart() counts no second in which something was answered before the interruption", async () => {
  const turns = createTurns(20);
  takeTurns(turns, 3);
  await turnClock(500);
  turns.restart();
  await turnClock(5000);
  takeTurns(turns, 1);
  await runReady();
  expect(turns.pace.places).toBe(1);
});

test.each<[string, Outcome, number]>([
  ["a 503", BUSY, 10],
  ["a 429", { kind: "rejected", status: 429, retryAfterMs: null }, 10],
  ["no answer", NO_ANSWER, 10],
  ["a 500", { kind: "server-error", status: 500, retryAfterMs: null }, 20],
  ["a 404", { kind: "rejected", status: 404, retryAfterMs: null }, 20],
  ["its own lack of descriptors", NO_DESCRIPTOR, 20],
])("end() after %s leaves %#", async (_what, outcome, places) => {
  const turns = createTurns(20);
  await turns.begin(NEVER);
  turns.end(sent(outcome));
  expect(turns.pace.places).toBe(places);
  if (places === 20) return;
  for (let count = 0; count < 9; count += 1) {
    await turns.begin(NEVER);
    turns.end(sent(outcome));
  }
  expect(turns.pace.places).toBe(1);
});

test("end() counts the refusals of requests that were in flight together once, if others are answered", async () => {
  const turns = createTurns(16);
  for (let count = 0; count < 16; count += 1) await turns.begin(NEVER);
  await turnClock(100);
  for (let count = 0; count < 8; count += 1) {
    turns.end(sent(BUSY, 100));
    turns.end(sent(OK, 100));
  }
  expect(turns.pace.places).toBe(8);
});

/** A callback that takes 50 requests a second and answers 503 to others. */
const CALLBACKS: readonly (readonly [string, number, (now: number) => boolean])[] = [
  ["a token bucket, in 1 ms", 1, bucketOf(50)],
  ["a token bucket, in 20 ms", 20, bucketOf(50)],
  ["a token bucket, in 100 ms", 100, bucketOf(50)],
  ["a small token bucket, in 5 ms", 5, bucketOf(5)],
  ["a fixed window, in 1 ms", 1, fixedWindow()],
  ["a sliding window, in 1 ms", 1, slidingWindow()],
  ["a sliding window, in 100 ms", 100, slidingWindow()],
];

function bucketOf(burst: number) {
  let [tokens, at] = [burst, 0];
  return (now: number) => {
    tokens = Math.min(burst, tokens + (now - at) / 20);
    at = now;
    const isTaken = tokens >= 1;
    if (isTaken) tokens -= 1;
    return isTaken;
  };
}

function fixedWindow() {
  let [window, count] = [-1, 0];
  return (now: number) => {
    if (Math.floor((now + 300) / 1000) !== window) [window, count] = [Math.floor((now + 300) / 1000), 0];
    count += 1;
    return count <= 50;
  };
}

function slidingWindow() {
  const taken: number[] = [];
  return (now: number) => {
    while ((taken[0] ?? now) <= now - 1000) taken.shift();
    if (taken.length < 50) return taken.push(now) > 0;
    return false;
  };
}

test.each(CALLBACKS)(
  "a backlog drains into %s at 90 %% of its rate, and few are refused",
  async (_name, ms, takes) => {
    const turns = createTurns(20);
    turns.restart();
    const start = performance.now();
    const MESSAGES = 2500;
    let [requests, refused, delivered] = [0, 0, 0];

    async function deliver(): Promise<void> {
      for (;;) {
        await turns.begin(NEVER);
        requests += 1;
        const isTaken = takes(performance.now() - start);
        const durationMs = isTaken ? ms : 1;
        await new Promise((resolve) => setTimeout(resolve, durationMs));
        turns.end(sent(isTaken ? OK : BUSY, durationMs));
        if (isTaken) return void (delivered += 1);
        refused += 1;
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
    }

    for (let message = 0; message < MESSAGES; message += 1) void deliver();
    const isDrained = () => delivered === MESSAGES;
    for (let tick = 0; !isDrained() && tick < 500_000; tick += 1) {
      await runReady();
      jest.advanceTimersToNextTimer();
    }
    const seconds = (performance.now() - start) / 1000;
    expect(delivered).toBe(MESSAGES);
    expect(refused / requests).toBeLessThan(0.05);
    expect(MESSAGES / seconds / 50).toBeGreaterThan(0.9);
  },
);

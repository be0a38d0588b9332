// Places, and the line in front of them.

import { getEventListeners } from "node:events";

import { expect, test } from "bun:test";

import { createLimiter } from "#lib/limiter.ts";

const FOR_EVER = new AbortController().signal;

test("acquire() gives all slots, then waits", async () => {
  const limiter = createLimiter(2);
  expect(await limiter.acquire(FOR_EVER)).toBe(true);
  expect(await limiter.acquire(FOR_EVER)).toBe(true);
  const third = limiter.acquire(FOR_EVER);
  expect(limiter).toMatchObject({ taken: 2, waiting: 1 });
  expect(await Promise.race([third, Promise.resolve("waits")])).toBe("waits");
  limiter.release();
  expect(await third).toBe(true);
  expect(limiter).toMatchObject({ taken: 2, waiting: 0 });
});

test("release() passes slots on in the order of asking", async () => {
  const limiter = createLimiter(1);
  await limiter.acquire(FOR_EVER);
  const order: number[] = [];
  const waiting = [1, 2, 3].map(async (number) => {
    await limiter.acquire(FOR_EVER);
    order.push(number);
    limiter.release();
  });
  limiter.release();
  await Promise.all(waiting);
  expect(order).toEqual([1, 2, 3]);
  expect(limiter).toMatchObject({ taken: 0, waiting: 0 });
});

test("release() lets no newcomer overtake those that wait", async () => {
  const limiter = createLimiter(1);
  await limiter.acquire(FOR_EVER);
  const first = limiter.acquire(FOR_EVER);
  limiter.release();
  const newcomer = limiter.acquire(FOR_EVER);
  expect(limiter).toMatchObject({ taken: 1, waiting: 1 });
  expect(await Promise.race([newcomer, first.then(() => "first")])).toBe("first");
  limiter.release();
  expect(await newcomer).toBe(true);
});

test("acquire() leaves the queue when its signal aborts, and takes no slot", async () => {
  const limiter = createLimiter(1);
  await limiter.acquire(FOR_EVER);
  const controller = new AbortController();
  const leaver = limiter.acquire(controller.signal);
  const stayer = limiter.acquire(FOR_EVER);
  controller.abort();
  expect(await leaver).toBe(false);
  expect(limiter).toMatchObject({ taken: 1, waiting: 1 });
  limiter.release();
  expect(await stayer).toBe(true);
  limiter.release();
  expect(limiter).toMatchObject({ taken: 0, waiting: 0 });
});

test("acquire() keeps a slot that was given before its signal aborted", async () => {
  const limiter = createLimiter(1);
  await limiter.acquire(FOR_EVER);
  const controller = new AbortController();
  const waiting = limiter.acquire(controller.signal);
  limiter.release();
  controller.abort();
  expect(await waiting).toBe(true);
  expect(limiter.taken).toBe(1);
});

test("acquire() resolves with false at once if its signal has aborted, even with free slots", async () => {
  const limiter = createLimiter(1);
  expect(await limiter.acquire(AbortSignal.abort())).toBe(false);
  expect(limiter).toMatchObject({ taken: 0, waiting: 0 });
});

test("acquire() adds one listener to a shared signal", async () => {
  const limiter = createLimiter(1);
  const controller = new AbortController();
  await limiter.acquire(controller.signal);
  const waiting = Array.from({ length: 50 }, () => limiter.acquire(controller.signal));
  expect(getEventListeners(controller.signal, "abort")).toHaveLength(1);
  for (const place of waiting) {
    limiter.release();
    await place;
  }
  expect(getEventListeners(controller.signal, "abort")).toHaveLength(1);
});

test("resize() to more slots gives them to those that wait, in order, each queue in turn", async () => {
  const limiter = createLimiter(1, { lines: 2 });
  await limiter.acquire(FOR_EVER);
  const order: string[] = [];
  const waiting = (["a", "b", "c", "d"] as const).map(async (name, index) => {
    await limiter.acquire(FOR_EVER, index < 3 ? 0 : 1);
    order.push(name);
  });
  limiter.resize(4);
  expect(limiter).toMatchObject({ taken: 4, waiting: 1 });
  limiter.resize(5);
  await Promise.all(waiting);
  expect(order).toEqual(["d", "a", "b", "c"]);
});

test("resize() to fewer slots takes none away, and gives none until enough are released", async () => {
  const limiter = createLimiter(3);
  for (let place = 1; place <= 3; place += 1) await limiter.acquire(FOR_EVER);
  const waiting = limiter.acquire(FOR_EVER);
  limiter.resize(1);
  limiter.release();
  limiter.release();
  expect(limiter).toMatchObject({ taken: 1, waiting: 1 });
  limiter.release();
  expect(await waiting).toBe(true);
  expect(limiter).toMatchObject({ taken: 1, waiting: 0 });
});

test("release() throws if no slot is taken: a slot that is released twice would be given to two", () => {
  const limiter = createLimiter(1);
  expect(limiter.tryAcquire()).toBe(true);
  limiter.release();
  expect(limiter.release).toThrow("No slot is taken");
});

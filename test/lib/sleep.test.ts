// Sleeping, and being woken.

import { getEventListeners } from "node:events";

import { expect, test } from "bun:test";

import { sleep } from "#lib/sleep.ts";

test("sleep() lasts as long as asked", async () => {
  const { signal } = new AbortController();
  const startedAt = performance.now();
  expect(await sleep(30, signal)).toBe(true);
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(29);
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

test("sleep() ends with false when its signal aborts", async () => {
  const controller = new AbortController();
  const startedAt = performance.now();
  const sleeping = sleep(60_000, controller.signal);
  expect(getEventListeners(controller.signal, "abort")).toHaveLength(1);
  controller.abort();
  expect(await sleeping).toBe(false);
  expect(performance.now() - startedAt).toBeLessThan(5000);
  expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
});

test("sleep() does not start where its signal has aborted", async () => {
  const signal = AbortSignal.abort();
  expect(await sleep(60_000, signal)).toBe(false);
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

test("sleep() leaves no listener behind on a signal that many share", async () => {
  const controller = new AbortController();
  await Promise.all(Array.from({ length: 100 }, () => sleep(1, controller.signal)));
  expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
});

// Sleeping, and being woken.

import { getEventListeners } from "node:events";

import { afterEach, expect, setSystemTime, test } from "bun:test";

import { sleep, sleepUntil } from "#lib/sleep.ts";

afterEach(() => void setSystemTime());

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

test("sleep() returns at once if its signal has aborted", async () => {
  const signal = AbortSignal.abort();
  expect(await sleep(60_000, signal)).toBe(false);
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

test("sleep() leaves no listener on a shared signal", async () => {
  const controller = new AbortController();
  await Promise.all(Array.from({ length: 100 }, () => sleep(1, controller.signal)));
  expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
});

test("sleepUntil() lasts until its time has come", async () => {
  const time = new Date(Date.now() + 30);
  expect(await sleepUntil(time, new AbortController().signal)).toBe(true);
  expect(Date.now()).toBeGreaterThanOrEqual(time.getTime());
});

test("sleepUntil() ends when the clock is set past its time", async () => {
  const { signal } = new AbortController();
  const time = new Date("2026-03-01T00:00:00Z");
  setSystemTime(new Date("2020-01-01T00:00:00Z"));
  let hasCome = false;
  const sleeping = sleepUntil(time, signal, { lookEveryMs: 5 }).then((result) => (hasCome = result));
  await sleep(30, signal);
  expect(hasCome).toBe(false);
  setSystemTime(new Date("2026-03-01T00:00:01Z"));
  expect(await sleeping).toBe(true);
});

test("sleepUntil() ends with false when its signal aborts", async () => {
  const controller = new AbortController();
  const sleeping = sleepUntil(new Date(Date.now() + 3_600_000), controller.signal);
  controller.abort();
  expect(await sleeping).toBe(false);
});

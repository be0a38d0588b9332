// Counts by the minute: they turn with the clock, and forget after an hour.

import { expect, test } from "bun:test";
import { createMinutes } from "#http/minutes.ts";

const MINUTE_MS = 60_000;
const NOON = Date.UTC(2026, 0, 31, 12);

function setUp() {
  let time = NOON;
  return { minutes: createMinutes(() => time), at: (ms: number) => (time = NOON + ms) };
}

test("createMinutes() counts each kind in the minute it happens in, oldest first", () => {
  const { minutes, at } = setUp();
  minutes.add("delivered");
  minutes.add("delivered");
  minutes.add("failed");
  at(2 * MINUTE_MS);
  minutes.add("delivered");
  const { delivered, failed } = minutes.read();
  expect(delivered).toHaveLength(60);
  expect(delivered.slice(-4)).toEqual([0, 2, 0, 1]);
  expect(failed.slice(-4)).toEqual([0, 1, 0, 0]);
});

test("createMinutes() forgets what is an hour old, though nothing happens meanwhile", () => {
  const { minutes, at } = setUp();
  minutes.add("delivered");
  at(59 * MINUTE_MS);
  expect(minutes.read().delivered[0]).toBe(1);
  at(60 * MINUTE_MS);
  expect(minutes.read().delivered).toEqual(Array(60).fill(0));
  at(1000 * MINUTE_MS);
  minutes.add("failed");
  expect(minutes.read().failed).toEqual([...Array<number>(59).fill(0), 1]);
});

test("createMinutes() says the rate of the last minute, and of a younger life as long as it has lasted", () => {
  const { minutes, at } = setUp();
  for (let count = 0; count < 60; count += 1) minutes.add("delivered");
  at(10_000);
  expect(minutes.read().perSecond).toBe(6);
  at(60_000);
  expect(minutes.read().perSecond).toBe(1);
  at(90_000);
  expect(minutes.read().perSecond).toBe(0.5);
  at(120_000);
  expect(minutes.read().perSecond).toBe(0);
});

test("createMinutes() counts on when the clock is set back", () => {
  const { minutes, at } = setUp();
  at(5 * MINUTE_MS);
  minutes.add("delivered");
  at(0);
  minutes.add("delivered");
  expect(minutes.read().delivered.at(-1)).toBe(2);
});

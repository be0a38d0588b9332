// A token bucket on a clock that the test turns.

import { expect, test } from "bun:test";
import { createTokenBucket } from "#lib/token-bucket.ts";

const DAY_MS = 86_400_000;

test("createTokenBucket() starts full and refills evenly", () => {
  const bucket = createTokenBucket({ perSecond: 2, burst: 3 });
  for (let count = 0; count < 3; count += 1) {
    expect(bucket.delayMs(1000)).toBe(0);
    bucket.take(1000);
  }
  expect(bucket.delayMs(1000)).toBe(500);
  expect(bucket.delayMs(1400)).toBe(100);
  expect(bucket.delayMs(1500)).toBe(0);
  bucket.take(1500);
  expect(bucket.delayMs(1500)).toBe(500);
});

test("createTokenBucket() never holds more than its burst", () => {
  const bucket = createTokenBucket({ perSecond: 1000, burst: 1 });
  bucket.take(5000);
  expect(bucket.delayMs(9000)).toBe(0);
  bucket.take(9000);
  expect(bucket.delayMs(9000)).toBe(1);
});

test("giveBack() makes the token available at once", () => {
  const bucket = createTokenBucket({ perSecond: 1 / 86_400, burst: 1 });
  bucket.take(0);
  expect(bucket.delayMs(0)).toBe(DAY_MS);
  bucket.giveBack();
  expect(bucket.delayMs(0)).toBe(0);
});

test("change() keeps the tokens: an empty bucket stays empty, a full one holds the new burst at most", () => {
  const bucket = createTokenBucket({ perSecond: 1 / 86_400, burst: 1 });
  bucket.take(0);
  bucket.change({ perSecond: 10, burst: 100 }, 1000);
  expect(bucket.delayMs(1000)).toBeWithin(99.9, 100);
  bucket.change({ perSecond: 1, burst: 2 }, 100_000);
  bucket.take(100_000);
  bucket.take(100_000);
  expect(bucket.delayMs(100_000)).toBe(1000);
});

// The delays, number by number.

import { describe, expect, test } from "bun:test";

import { type ActiveRetry, repeatDelayMs, retryDelayMs } from "#delivery/backoff.ts";

const LIMITS = { maxAttempts: 1000, initialDelayMs: 1000, maxDelayMs: 60_000 };
const ALMOST_ONE = 1 - Number.EPSILON / 2;

describe("retryDelayMs()", () => {
  test.each<[ActiveRetry["kind"], readonly number[]]>([
    ["exponential", [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]],
    ["linear", [1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000]],
  ])("grows %s up to the maximum", (kind, expected) => {
    const delays = expected.map((_, index) => retryDelayMs({ ...LIMITS, kind }, index + 1, 0));
    expect(delays).toEqual([...expected]);
  });

  test.each<[ActiveRetry["kind"], number]>([
    ["linear", 60],
    ["linear", 61],
    ["linear", 1000],
    ["exponential", 1000],
    ["exponential", 100_000],
  ])("%s stays at the maximum for retry %d", (kind, retryNumber) => {
    expect(retryDelayMs({ ...LIMITS, kind }, retryNumber, 0)).toBe(60_000);
  });

  test.each([
    [1, 0.5, 1050],
    [1, ALMOST_ONE, 1100],
    [7, ALMOST_ONE, 66_000],
  ])("adds up to 10 %% of jitter on top: retry %d, chance %d", (retryNumber, random, expected) => {
    const retry = { ...LIMITS, kind: "exponential" } as const;
    expect(retryDelayMs(retry, retryNumber, random)).toBe(expected);
  });
});

describe("repeatDelayMs()", () => {
  const limits = { initialMs: 250, maxMs: 30_000 };

  test.each([
    [1, 250],
    [2, 500],
    [7, 16_000],
    [8, 30_000],
    [5000, 30_000],
  ])("doubles up to the maximum: try %d", (tryNumber, expected) => {
    expect(repeatDelayMs(tryNumber, { ...limits, random: 0.5 })).toBe(expected);
  });

  test.each([
    [0, 750],
    [0.5, 1000],
    [ALMOST_ONE, 1250],
  ])("spreads by a quarter to either side: chance %d", (random, expected) => {
    expect(repeatDelayMs(1, { initialMs: 1000, maxMs: 30_000, random })).toBe(expected);
  });
});

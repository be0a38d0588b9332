// What `Retry-After` may look like.

import { describe, expect, test } from "bun:test";

import { retryAfterMs } from "#callback/answer.ts";

const NOW = new Date("2026-03-01T12:00:00.900Z");

describe("retryAfterMs()", () => {
  test.each([
    ["0", 0],
    ["120", 120_000],
    [" 7 ", 7000],
    ["99999999999999999999", 86_400_000],
    ["Sun, 01 Mar 2026 12:00:10 GMT", 9100],
    ["Sunday, 01-Mar-26 12:00:10 GMT", 9100],
    ["Sun Mar  1 12:00:10 2026", 9100],
    ["Sun, 01 Mar 2026 11:00:00 GMT", 0],
    ["Sun, 01 Mar 2099 11:00:00 GMT", 86_400_000],
    ["-1", null],
    ["1.5", null],
    ["soon", null],
    ["", null],
    ["2026-03-01T12:00:10Z", null],
    ["Sun, 99 Mar 2026 12:00:10 GMT", null],
    [undefined, null],
    [["5", "10"], 5000],
  ])("retryAfterMs() reads %p as %p", (value, expected) => {
    expect(retryAfterMs(value, NOW)).toBe(expected);
  });
});

// `responses`: which entry counts, and what becomes of a message by its meaning.

import { describe, expect, test } from "bun:test";
import { toOutcome } from "#delivery/outcome.ts";
import { decide, holdMsOf, type Policy } from "#delivery/policy.ts";
import { isAmbiguous, meaningOf, parseResponseKey, toResponses } from "#delivery/responses.ts";
import { fail, formatStatus, initialStatus, parseStatus, applyCommand } from "#delivery/status.ts";

const RETRY = { kind: "linear", maxAttempts: 3, initialDelayMs: 1000, maxDelayMs: 60_000 } as const;
const POLICY: Policy = {
  retry: RETRY,
  hasDeadLetters: true,
  interruptOnServerError: true,
  interruptOnException: true,
};
const FIRST = { attempt: 1, mayRetry: true, heedsRetryAfter: true, random: 0 };

describe("meaningOf()", () => {
  const responses = toResponses({
    "4xx": "retry",
    "400-450": "rejected",
    "405-410": "server-error",
    "409": "delivered",
    "5xx": "rejected",
  });
  test.each([
    [409, "delivered"],
    [410, "server-error"],
    [404, "rejected"],
    [451, "retry"],
    [503, "rejected"],
    [200, null],
    [302, null],
  ] as const)(
    "says that %i is %p: a status beats a range, a narrow range a wide one, a range a class",
    (status, meaning) => {
      expect(meaningOf(status, responses)).toBe(meaning);
    },
  );
});

test.each([
  ["500-503", "502-510", true],
  ["500-503", "501-502", false],
  ["500-503", "504-510", false],
  ["500-503", "503", false],
  ["500-503", "5xx", false],
])("isAmbiguous() of %s and %s is %p", (one, other, expected) => {
  const [left, right] = [parseResponseKey(one), parseResponseKey(other)];
  if (left === null || right === null) throw new Error("Both are keys");
  expect(isAmbiguous(left, right)).toBe(expected);
});

test.each(["503-500", "0xx", "99", "4x", "400-", "-400", "1000"])("parseResponseKey() refuses %s", (key) => {
  expect(parseResponseKey(key)).toBeNull();
});

test.each([
  [200, "rejected", "dead-letter"],
  [400, "retry", "retry"],
  [429, "rejected", "dead-letter"],
  [404, "delivered", "ack"],
  [404, "server-error", "retry"],
  [410, "stop", "interrupt"],
] as const)("decide() about a %i that means %s: %s", (status, meaning, action) => {
  const outcome = toOutcome(status, null, toResponses({ [status]: meaning }));
  expect(decide(outcome, POLICY, FIRST).kind).toBe(action);
});

test("holdMsOf() holds for the Retry-After of a 503 that counts as delivered", () => {
  expect(holdMsOf(toOutcome(503, 2000, toResponses({ "503": "delivered" })), RETRY)).toBe(2000);
});

test("fail() with a callback's stop is STOPPED with its cause, also as stored, until a start", () => {
  const cause = { text: "Callback answered 410", at: new Date(0), message: null, stops: true };
  const stopped = fail(initialStatus("ACCEPTED"), cause);
  expect(stopped).toMatchObject({ consumerStatus: "STOPPED", failure: cause });
  expect(parseStatus(formatStatus(stopped, "ACCEPTED"), "ACCEPTED")).toEqual(stopped);
  const started = applyCommand(stopped, { kind: "start" });
  expect(started).toEqual(initialStatus("ACCEPTED"));
});

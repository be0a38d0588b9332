// What a status means, and how an outcome is shown.

import { describe, expect, test } from "bun:test";

import { describeOutcome, type Outcome, statusOf, toOutcome } from "#delivery/outcome.ts";

describe("toOutcome()", () => {
  test.each<[status: number, kind: Outcome["kind"]]>([
    [100, "rejected"],
    [101, "rejected"],
    [199, "rejected"],
    [200, "delivered"],
    [202, "delivered"],
    [204, "delivered"],
    [299, "delivered"],
    [300, "rejected"],
    [302, "rejected"],
    [400, "rejected"],
    [404, "rejected"],
    [499, "rejected"],
    [500, "server-error"],
    [503, "server-error"],
    [599, "server-error"],
    [600, "server-error"],
    [999, "server-error"],
  ])("%d: %s", (status, kind) => {
    expect(toOutcome(status, null)).toMatchObject({ kind, status });
  });

  test("keeps what the callback asked for in Retry-After", () => {
    expect(toOutcome(429, 2000)).toEqual({ kind: "rejected", status: 429, retryAfterMs: 2000 });
    expect(toOutcome(503, 2000)).toEqual({ kind: "server-error", status: 503, retryAfterMs: 2000 });
    expect(toOutcome(200, 2000)).toEqual({ kind: "delivered", status: 200 });
  });
});

test.each<[Outcome, number, string]>([
  [{ kind: "delivered", status: 204 }, 204, "Callback answered 204"],
  [{ kind: "rejected", status: 404, retryAfterMs: null }, 404, "Callback answered 404"],
  [{ kind: "server-error", status: 500, retryAfterMs: null }, 500, "Callback answered 500"],
  [{ kind: "exception", code: "dns", error: "Host not found: a.test" }, 0, "Host not found: a.test"],
])("statusOf(), describeOutcome() %j: %d, %s", (outcome, status, text) => {
  expect(statusOf(outcome)).toBe(status);
  expect(describeOutcome(outcome)).toBe(text);
});

// What follows from a subscription's quality of service.

import { expect, test } from "bun:test";

import type { Qos } from "#delivery/policy.ts";
import { concurrencyOf, durableName, isOrdered } from "#delivery/subscription.ts";
import { toSubscription } from "../support/subscription.ts";

test("durableName() is the id after relay-", () => {
  expect(durableName("billing")).toBe("relay-billing");
});

test.each<[Qos, isOrdered: boolean, concurrency: number]>([
  ["NONE", false, 5],
  ["AUTO", false, 5],
  ["AT_MOST_ONCE", true, 1],
  ["AT_LEAST_ONCE", true, 1],
])("isOrdered(), concurrencyOf() %s: %p, %d", (qos, ordered, concurrency) => {
  expect(isOrdered(qos)).toBe(ordered);
  expect(concurrencyOf(toSubscription({ qos }))).toBe(concurrency);
});

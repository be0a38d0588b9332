// What follows from a subscription's quality of service.

import { expect, test } from "bun:test";

import type { Qos } from "#delivery/policy.ts";
import { concurrencyOf, durableName, isOrdered, type Subscription } from "#delivery/subscription.ts";

const SUBSCRIPTION: Subscription = {
  id: "billing",
  application: null,
  entrypoint: "webhook",
  qos: "AUTO",
  source: {
    domain: null,
    stream: "ORDERS",
    filterSubjects: [],
    deliverPolicy: { kind: "all" },
    ackWaitMs: 30_000,
  },
  deadLetters: [],
  callback: {
    url: new URL("http://127.0.0.1/"),
    displayUrl: "http://127.0.0.1/",
    method: "POST",
    headers: [],
    connectTimeoutMs: 3000,
    readTimeoutMs: 10_000,
    idleTimeoutMs: 60_000,
    maxConcurrentConnections: 5,
  },
  retry: { kind: "none" },
  interruptOnServerError: true,
  interruptOnException: true,
  resume: { kind: "manual" },
  startingAt: null,
  endingAt: null,
  isPaused: false,
};

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
  expect(concurrencyOf({ ...SUBSCRIPTION, qos })).toBe(concurrency);
});

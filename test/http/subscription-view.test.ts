// Which subscriptions are in trouble, and what is said about them.

import { expect, test } from "bun:test";
import { findTrouble } from "#http/subscription-view.ts";
import type { SubscriptionState } from "#runtime/running.ts";

const RUNNING: SubscriptionState = { kind: "running" };
const lagOf = (growth: number | null) => ({ pending: 5000, ackPending: 0, growth });
const attempts = (delivered: number, failed: number) => ({ delivered, failed });

test.each([
  ["nothing known", RUNNING, null, attempts(0, 0), null],
  ["90 % delivered", RUNNING, lagOf(99), attempts(90, 10), null],
  ["a cause", { kind: "failed", cause: null }, lagOf(500), attempts(0, 9), "failure: Callback answered 500"],
  [
    "no NATS",
    { kind: "waiting", reason: "No NATS", isFault: true },
    null,
    attempts(0, 0),
    "waiting: No NATS",
  ],
  ["a Retry-After", { kind: "waiting", reason: "x", isFault: false }, null, attempts(9, 0), null],
  [
    "89 % delivered",
    RUNNING,
    lagOf(500),
    attempts(8900, 1100),
    "success-rate: 1,100 of 10,000 attempts of the last 5 minutes failed",
  ],
  ["lag", RUNNING, lagOf(1200), attempts(9, 0), "lag: 1,200 more messages wait than 5 minutes ago"],
  ["paused with lag", { kind: "paused", reason: "Paused" }, lagOf(1200), attempts(0, 9), null],
] as const)("findTrouble() of %s", (_name, state, lag, recent, expected) => {
  const found = findTrouble(state, { cause: "Callback answered 500", lag, attempts: recent });
  expect(found === null ? null : `${found.kind}: ${found.text}`).toBe(expected);
});

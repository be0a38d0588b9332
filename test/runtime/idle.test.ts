// When a subscription that waits sends something again.

import { expect, test } from "bun:test";
import { findNextTry } from "#runtime/idle.ts";
import type { SubscriptionState } from "#runtime/running.ts";

interface Waits {
  readonly probeInMs?: number;
  readonly retryInMs?: number;
  readonly waitMs?: number;
}

const FAILED: SubscriptionState = { kind: "failed", cause: null };
const HELD: SubscriptionState = { kind: "waiting", reason: "Retry-After", isFault: false };
const ABSENT: SubscriptionState = { kind: "waiting", reason: "No NATS", isFault: true };

test.each([
  ["a failed one with a probe", FAILED, { probeInMs: 40_000 }, 40],
  ["a probe that waits for a Retry-After too", FAILED, { probeInMs: 40_000, waitMs: 60_000 }, 60],
  ["a failed one without probes", FAILED, { waitMs: 60_000 }, null],
  ["a Retry-After", HELD, { waitMs: 30_000 }, 30],
  ["one without NATS", ABSENT, { waitMs: 30_000 }, null],
  ["a retry", { kind: "running" }, { retryInMs: 20_000 }, 20],
  ["a retry that is overdue", { kind: "running" }, { retryInMs: -20_000 }, 0],
  ["one that waits for nothing", { kind: "running" }, { waitMs: 5 }, null],
  ["a paused one", { kind: "paused", reason: "Paused" }, { retryInMs: 5 }, null],
] as [string, SubscriptionState, Waits, number | null][])(
  "findNextTry() of %s",
  (_name, state, waits, seconds) => {
    const { probeInMs = null, retryInMs = null, waitMs = 0 } = waits;
    const found = findNextTry(state, {
      probeAt: probeInMs === null ? null : new Date(Date.now() + probeInMs),
      nextRetryAt: retryInMs === null ? null : performance.now() + retryInMs,
      waitMs,
    });
    const leftMs = found === null ? null : found.getTime() - Date.now();
    expect(leftMs === null ? null : Math.round(leftMs / 1000) + 0).toBe(seconds);
  },
);

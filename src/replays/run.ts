// Runs one replay: sends its items in order, as fast as it may, and counts how they end.

import { onlySubscription } from "#delivery/letter.ts";
import type { ReplayCounts, ReplayPlace, ReplayRecord, SkippedCounts } from "#delivery/replay.ts";
import {
  concurrencyOf,
  type DeadLetterEndpoint,
  isOrdered,
  type Subscription,
} from "#delivery/subscription.ts";
import type { Failure } from "#delivery/outcome.ts";
import { createLimiter, type Limiter } from "#lib/limiter.ts";
import type { Logger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";
import type { ReplayLetters } from "#letters/replay.ts";
import type { StreamMessages } from "#letters/stream-messages.ts";
import type { ReplayItem, ReplayItems } from "./items.ts";
import { openLetterItems } from "./letter-items.ts";
import { openMessageItems } from "./message-items.ts";
import type { Removals } from "./removals.ts";
import type { RunningSubscription } from "#runtime/running.ts";

interface ReplayRunParts {
  readonly find: (id: string) => RunningSubscription | null;
  readonly endpoints: readonly DeadLetterEndpoint[];
  readonly openLetters: (endpoint: DeadLetterEndpoint) => ReplayLetters;
  readonly openMessages: (subscription: Subscription) => StreamMessages;
  /** Stores the progress in the record. False: it could not. */
  readonly save: () => Promise<boolean>;
  /** Keys of items in flight or delivered: shared by all replays of this relay. */
  readonly taken: Set<string>;
  readonly removals: Pick<Removals, "has" | "add">;
  /** False: another relay may hold the lease. */
  readonly isCurrent: () => boolean;
  /** Ends all waits. */
  readonly waiting: AbortSignal;
  /** Ends the letters in flight. */
  readonly ending: AbortSignal;
  readonly logger: Logger;
}

export type ReplayEnd =
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "stopped" };

interface ReplayProgress {
  readonly counts: ReplayCounts;
  readonly places: readonly ReplayPlace[] | null;
  readonly cursors: readonly number[];
}

export interface ReplayRun {
  /** Never rejects. */
  readonly finished: Promise<ReplayEnd>;
  progress: () => ReplayProgress;
}

const MAX_FAILURES_IN_A_ROW = 10;
const DEFAULT_WORKERS = 5;
const LOOK_AGAIN_MS = 500;

export function startReplayRun(record: ReplayRecord, parts: ReplayRunParts): ReplayRun {
  const { request } = record;
  const { resend } = request;
  const halting = new AbortController();
  const waiting = AbortSignal.any([parts.waiting, halting.signal]);
  const queueUp = createOrder(waiting);
  const taking = createLimiter(1);
  const pace = createPace(request.rate);
  let { delivered, failed, matching } = record.counts;
  const skipped: Record<keyof SkippedCounts, number> = { ...record.counts.skipped };
  const onGone = (count: number) => (skipped.gone += count);
  let items: ReplayItems | null = null;
  let failuresInARow = 0;
  let failure: string | null = null;
  let started = delivered + failed + matching;

  async function run(): Promise<ReplayEnd> {
    items = await openItems();
    if (items === null) return parts.waiting.aborted ? { kind: "stopped" } : NO_SUBSCRIPTION;
    await Promise.all(Array.from({ length: workers() }, work));
    if (failure !== null) return { kind: "failed", reason: failure };
    return parts.waiting.aborted ? { kind: "stopped" } : { kind: "done" };
  }

  function openItems(): Promise<ReplayItems | null> {
    const own = { ...parts, waiting };
    if (resend !== null) return openMessageItems(record, resend, { ...own, onGone });
    return openLetterItems(record, { ...own, fail, onMissing: () => onGone(1) });
  }

  function workers(): number {
    const only = parts.find(request.to ?? onlySubscription(request.filter) ?? "")?.subscription;
    const most = only === undefined ? DEFAULT_WORKERS : isOrdered(only.qos) ? 1 : concurrencyOf(only);
    return Math.min(request.concurrency ?? most, most);
  }

  async function work(): Promise<void> {
    for (;;) {
      const item = await take();
      if (item === null) return;
      const target = parts.find(item.target);
      const order = await queueUp(target?.subscription ?? null);
      const isDone = order !== null && (await send(item));
      order?.release();
      parts.taken.delete(item.key);
      if (isDone) item.pass();
    }
  }

  /** The next item to send. null: none is left, or the replay stops. */
  async function take(): Promise<ReplayItem | null> {
    if (!(await taking.acquire(waiting))) return null;
    try {
      return await takeNext();
    } finally {
      taking.release();
    }
  }

  async function takeNext(): Promise<ReplayItem | null> {
    while (!waiting.aborted && (request.max === null || started < request.max)) {
      const taken = (await items?.next(waiting)) ?? null;
      if (taken === null) return null;
      if (taken.kind === "skip") {
        if (taken.reason !== null) skipped[taken.reason] += 1;
        taken.pass();
        continue;
      }
      const { item } = taken;
      if (parts.taken.has(item.key)) {
        skipped.gone += 1;
        item.pass();
        continue;
      }
      started += 1;
      if (!request.dryRun) {
        if (!(await pace(waiting))) return null;
        parts.taken.add(item.key);
        return item;
      }
      matching += 1;
      item.pass();
    }
    return null;
  }

  /** True: the item is done with. */
  async function send(item: ReplayItem): Promise<boolean> {
    for (;;) {
      if (waiting.aborted) return false;
      const running = parts.find(item.target);
      const { claim, letter } = item;
      const result = await running?.replay(item.message, { claim, letter, waiting, ending: parts.ending });
      switch (result?.kind) {
        case "delivered":
          return settleDelivered(item);
        case "failed":
          return settleFailed(item, result);
        case "filtered":
          skipped.excluded += 1;
          started -= 1;
          return true;
        case "gone":
          skipped.gone += 1;
          started -= 1;
          return true;
        case "stopped":
        case undefined:
          if (running === null || running.state().kind === "closed") {
            skipped.noSubscription += 1;
            return true;
          }
          // The subscription restarts for a new configuration.
          await sleep(LOOK_AGAIN_MS, waiting);
      }
    }
  }

  function fail(reason: string): void {
    failure ??= reason;
    halting.abort();
  }

  async function settleDelivered(item: ReplayItem): Promise<boolean> {
    failuresInARow = 0;
    const isSettled = await item.delivered();
    if (isSettled) delivered += 1;
    return isSettled;
  }

  async function settleFailed(
    item: ReplayItem,
    how: { readonly failure: Failure; readonly attempts: number },
  ): Promise<boolean> {
    failuresInARow = how.failure.kind === "rejected" ? 0 : failuresInARow + 1;
    if (failuresInARow >= MAX_FAILURES_IN_A_ROW)
      fail(`Stopped after ${MAX_FAILURES_IN_A_ROW} server errors or exceptions in a row`);
    const isSettled = await item.failed(how);
    if (isSettled) failed += 1;
    return isSettled;
  }

  return {
    finished: run(),
    progress: () => ({
      counts: { delivered, failed, matching, skipped: { ...skipped } },
      places: items?.places ?? record.places,
      cursors: items?.cursors() ?? record.cursors,
    }),
  };
}

const NO_SUBSCRIPTION: ReplayEnd = { kind: "failed", reason: "There is no such subscription here" };

/** Waits for a slot; the caller releases it. null: `signal` aborted. */
function createOrder(
  signal: AbortSignal,
): (subscription: Subscription | null) => Promise<{ readonly release: () => void } | null> {
  const lines = new Map<string, Limiter>();
  return async (subscription) => {
    if (subscription === null || !isOrdered(subscription.qos)) return { release: () => undefined };
    const { id } = subscription;
    const line = lines.get(id) ?? createLimiter(1);
    lines.set(id, line);
    return (await line.acquire(signal)) ? line : null;
  };
}

/** Waits for the next start of the rate limit; null: no limit. False: `signal` aborted. */
export function createPace(perSecond: number | null): (signal: AbortSignal) => Promise<boolean> {
  let nextAt = 0;
  return async (signal) => {
    if (perSecond === null) return true;
    const now = performance.now();
    const waitMs = nextAt - now;
    nextAt = Math.max(nextAt, now) + 1000 / perSecond;
    return waitMs <= 0 || sleep(waitMs, signal);
  };
}

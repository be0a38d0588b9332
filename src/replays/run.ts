// Runs one replay: sends the letters in order, removes delivered ones, and stores failed ones with their newest error.

import { meetsFilter } from "#delivery/letter.ts";
import { type ReplayLetter, toReplayLetter } from "#delivery/replay-letter.ts";
import {
  mayHaveArrived,
  type ReplayCounts,
  type ReplayPlace,
  type ReplayRecord,
  type SkippedCounts,
  toLetterFilter,
} from "#delivery/replay.ts";
import {
  concurrencyOf,
  type DeadLetterEndpoint,
  type Subscription,
  isOrdered,
} from "#delivery/subscription.ts";
import { createLimiter, type Limiter } from "#lib/limiter.ts";
import type { Logger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";
import type { ReplayLetters } from "#letters/replay.ts";
import type { Removals } from "./removals.ts";
import { claimLetter, type FailedLetter, keepFailed, readLetter, removeLetter } from "./settle.ts";
import { type Found, letterKey, openReplaySource, type ReplaySource } from "./source.ts";
import type { RunningSubscription } from "#runtime/running.ts";

interface ReplayRunParts {
  readonly find: (id: string) => RunningSubscription | null;
  readonly endpoints: readonly DeadLetterEndpoint[];
  readonly openLetters: (endpoint: DeadLetterEndpoint) => ReplayLetters;
  /** Letters in flight and letters delivered before, by stream and sequence: shared by all replays of this relay. */
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
  const { request, maxReplays } = record;
  const filter = toLetterFilter(request.filter);
  const halting = new AbortController();
  const waiting = AbortSignal.any([parts.waiting, halting.signal]);
  const queueUp = createOrder(waiting);
  const taking = createLimiter(1);
  const pace = createPace(request.rate);
  let { delivered, failed, matching } = record.counts;
  const skipped: Record<keyof SkippedCounts, number> = { ...record.counts.skipped };
  const onMissing = () => (skipped.gone += 1);
  let source: ReplaySource | null = null;
  let failuresInARow = 0;
  let failure: string | null = null;
  let started = delivered + failed + matching;

  async function run(): Promise<ReplayEnd> {
    source = await openReplaySource(record, { ...parts, signal: waiting, onMissing });
    if (source === null) return { kind: "stopped" };
    await Promise.all(Array.from({ length: workers() }, work));
    if (failure !== null) return { kind: "failed", reason: failure };
    return parts.waiting.aborted ? { kind: "stopped" } : { kind: "done" };
  }

  function workers(): number {
    const only = parts.find(request.to ?? request.filter.subscription ?? "")?.subscription;
    const most = only === undefined ? DEFAULT_WORKERS : concurrencyOf(only);
    return Math.min(request.concurrency ?? most, most);
  }

  async function work(): Promise<void> {
    for (;;) {
      const taken = await take();
      if (taken === null) return;
      const order = await queueUp(taken.target);
      const isDone = order !== null && (await send(taken));
      order?.release();
      parts.taken.delete(letterKey(taken.found));
      if (isDone) taken.found.pass();
    }
  }

  /** The next letter to send. Null: none is left, or the replay stops. */
  async function take(): Promise<Taken | null> {
    if (!(await taking.acquire(waiting))) return null;
    try {
      return await takeNext();
    } finally {
      taking.release();
    }
  }

  async function takeNext(): Promise<Taken | null> {
    while (!waiting.aborted && (request.max === null || started < request.max)) {
      const found = (await source?.next(waiting)) ?? null;
      if (found === null) return null;
      const judged = await judge(found);
      if (judged.kind === "skip") {
        if (judged.reason !== null) skipped[judged.reason] += 1;
        found.pass();
        continue;
      }
      started += 1;
      if (!request.dryRun) {
        if (!(await pace(waiting))) return null;
        parts.taken.add(letterKey(found));
        return { found, ...judged };
      }
      matching += 1;
      found.pass();
    }
    return null;
  }

  async function judge(found: Found): Promise<Judged> {
    const letter = toReplayLetter(found.stored, found.place, { takesForeign: found.isNamed });
    if (letter === null) return skip("foreign");
    if (!meetsFilter(letter.letter, filter)) return skip(null);
    if (parts.taken.has(letterKey(found))) return skip("gone");
    // Its removal was confirmed, and a killed server forgot it.
    if (parts.removals.has(found.stored)) {
      await removeLetter(found.letters, found.stored.sequence, parts.ending);
      return skip("gone");
    }
    if (maxReplays !== null && letter.letter.replays >= maxReplays) return skip("exhausted");
    const target = parts.find(request.to ?? letter.letter.subscription);
    if (target === null || target.state().kind === "closed") return skip("noSubscription");
    if (!request.force && mayHaveArrived(letter, target.subscription)) return skip("needsForce");
    return { kind: "send", letter, target: target.subscription };
  }

  /** True: the letter is done with. */
  async function send({ found, letter, target }: Taken): Promise<boolean> {
    let current = letter;
    for (;;) {
      if (waiting.aborted) return false;
      const running = parts.find(target.id);
      const result = await running?.replay(letter.message, {
        claim: async (qos) => {
          const isMarking = qos === "AT_MOST_ONCE";
          const claimed = await claimLetter(found.letters, current, { ...parts, isMarking });
          if (typeof claimed === "string") return claimed;
          if (claimed.kind === "unmarkable")
            fail(`Cannot mark ${current.stored.subject} before it is sent: ${claimed.reason}`);
          else current = claimed.letter;
          return claimed.kind === "claimed" ? "claimed" : "unavailable";
        },
        endpoint: found.place.name,
        letterId: letter.letter.id,
        waiting,
        ending: parts.ending,
      });
      switch (result?.kind) {
        case "delivered":
          return settleDelivered(found, current);
        case "failed":
          return settleFailed(found, { letter: current, ...result });
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

  async function settleDelivered(found: Found, { stored }: ReplayLetter): Promise<boolean> {
    failuresInARow = 0;
    parts.removals.add(found.stored, found.letters);
    const isMarked = stored.sequence !== found.stored.sequence;
    const marked = isMarked ? await readLetter(found.letters, stored.sequence, parts.ending) : null;
    if (marked !== null) parts.removals.add(marked, found.letters);
    const isRemoved = await removeLetter(found.letters, stored.sequence, parts.ending);
    if (isRemoved) delivered += 1;
    else parts.logger.warn("Delivered dead letter not removed", { subject: stored.subject });
    return isRemoved;
  }

  async function settleFailed(found: Found, how: FailedLetter): Promise<boolean> {
    failuresInARow = how.failure.kind === "rejected" ? 0 : failuresInARow + 1;
    if (failuresInARow >= MAX_FAILURES_IN_A_ROW)
      fail(`Stopped after ${MAX_FAILURES_IN_A_ROW} server errors or exceptions in a row`);
    const isSettled = await keepFailed(found.letters, how, parts.ending);
    if (isSettled) failed += 1;
    return isSettled;
  }

  return {
    finished: run(),
    progress: () => ({
      counts: { delivered, failed, matching, skipped: { ...skipped } },
      places: source?.places ?? record.places,
      cursors: source?.cursors() ?? record.cursors,
    }),
  };
}

type Judged =
  | { readonly kind: "send"; readonly letter: ReplayLetter; readonly target: Subscription }
  /** Null: the replay's filter excludes it. */
  | { readonly kind: "skip"; readonly reason: keyof SkippedCounts | null };

interface Taken {
  readonly found: Found;
  readonly letter: ReplayLetter;
  readonly target: Subscription;
}

function skip(reason: keyof SkippedCounts | null): Judged {
  return { kind: "skip", reason };
}

/** Waits for a slot; the caller releases it. Null: `signal` aborted. */
function createOrder(
  signal: AbortSignal,
): (subscription: Subscription) => Promise<{ readonly release: () => void } | null> {
  const lines = new Map<string, Limiter>();
  return async ({ id, qos }) => {
    if (!isOrdered(qos)) return { release: () => undefined };
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

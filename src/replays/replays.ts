// Replays of dead letters: any relay starts and commands them, and the relay that holds the lease runs them.
//
//   running --pause--> paused --resume--> running      running, paused --stop--> stopped
//   running --nothing left--> done                     running --10 failures in a row--> failed
//
// The record holds the wanted state. If the relay that replays dies, the next one continues from the record's cursors.

import { randomUUID } from "node:crypto";

import {
  commandReplay,
  isEnded,
  newReplay,
  type ReplayCommand,
  type ReplayRecord,
  type ReplayRequest,
  type ReplayScope,
} from "#delivery/replay.ts";
import { onlySubscription } from "#delivery/letter.ts";
import type { DeadLetterEndpoint, Subscription } from "#delivery/subscription.ts";
import { messageOf } from "#lib/errors.ts";
import { createLimiter } from "#lib/limiter.ts";
import type { Logger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";
import { sleepUntilTick } from "#lib/ticks.ts";
import type { ReplayLetters } from "#letters/replay.ts";
import type { StreamMessages } from "#letters/stream-messages.ts";
import { createLeases, type Lease } from "./lease.ts";
import { createReplayRecords, isRecordKey, type RecordOutcome, type RecordsBucket } from "./records.ts";
import { createRemovals, type RemovalsOptions } from "./removals.ts";
import { type ReplayEnd, type ReplayRun, startReplayRun } from "./run.ts";
import { createSchedule } from "./schedule.ts";
import type { Runtime } from "#runtime/runtime.ts";

export interface Replays {
  /** False: the records are not read yet. */
  isKnown: () => boolean;
  /** Newest first. */
  list: () => readonly ReplayRecord[];
  find: (id: string) => ReplayRecord | null;
  create: (
    request: ReplayRequest,
    options: { readonly scope: ReplayScope | null; readonly signal: AbortSignal },
  ) => Promise<RecordOutcome | { readonly kind: "too-many" }>;
  command: (id: string, command: ReplayCommand, signal: AbortSignal) => Promise<RecordOutcome>;
  /** Starts nothing more; letters in flight have `graceMs`. Another relay, or the next run, continues. */
  stop: (graceMs: number) => Promise<void>;
}

interface ReplaysParts {
  readonly runtime: Pick<Runtime, "find" | "subscriptions">;
  /** All dead-letter endpoints. */
  readonly endpoints: () => readonly DeadLetterEndpoint[];
  readonly bucket: RecordsBucket;
  readonly openLetters: (endpoint: DeadLetterEndpoint) => ReplayLetters;
  readonly openMessages: (subscription: Subscription) => StreamMessages;
  readonly onReconnect: RemovalsOptions["onReconnect"];
  /** Name of this relay in the records. */
  readonly owner: string;
  readonly logger: Logger;
}

interface Working {
  /** Resolves when the replay has ended and its record says so. */
  readonly followed: Promise<void>;
  readonly halting: AbortController;
}

const LOOK_MS = 1000;
const MAX_UNFINISHED = 20;
/** Limits for the replays of one tenant, and of all tenants together, so that operators always have room for theirs. */
const MAX_OF_TENANT = 3;
const MAX_OF_TENANTS = 12;

export function startReplays(parts: ReplaysParts): Replays {
  const { bucket, logger, owner } = parts;
  const records = createReplayRecords(bucket);
  const leases = createLeases(bucket, `${owner} ${randomUUID()}`);
  const schedule = createSchedule(records.find);
  /** Creates one record at a time, so that simultaneous requests cannot exceed a limit. */
  const creating = createLimiter(1);
  const working = new Map<string, Working>();
  const taken = new Set<string>();
  const stopping = new AbortController();
  const removals = createRemovals({ ...parts, signal: stopping.signal });
  const expired = new AbortController();
  let waking = new AbortController();
  let lease: Lease | null = null;
  let isKnown = false;
  const forget = bucket.onChange((key) => {
    if (isRecordKey(key)) waking.abort();
  });
  const finished = run();

  /** Never rejects. */
  async function run(): Promise<void> {
    isKnown = await bucket.ready(stopping.signal);
    if (!isKnown) return;
    while (!stopping.signal.aborted) {
      waking = new AbortController();
      await look().catch((error: unknown) => logger.error("Replays failed", { error: messageOf(error) }));
      await sleepUntilTick(LOOK_MS, AbortSignal.any([waking.signal, stopping.signal]));
    }
    await Promise.all([...working.values()].map(({ followed }) => followed));
    await lease?.release();
  }

  async function look(): Promise<void> {
    haltUnwanted();
    const wanted = records.list().filter(({ state }) => state === "running");
    const due = await dueNow();
    if (wanted.length === 0 && due.length === 0 && working.size === 0) {
      await lease?.release();
      lease = null;
      return;
    }
    if (lease === null || lease.lost.aborted) lease = await leases.take();
    if (lease === null) return;
    for (const record of due) await startScheduled(record);
    for (const record of wanted) if (!working.has(record.id)) begin(record, lease);
  }

  function endpointsOf({ request }: ReplayRecord): readonly DeadLetterEndpoint[] {
    return endpointsFor(request, { find: parts.runtime.find, all: parts.endpoints() });
  }

  function haltUnwanted(): void {
    for (const [id, { halting }] of working) if (records.find(id)?.state !== "running") halting.abort();
  }

  /** Creates no record if there is nothing to replay. */
  async function dueNow(): Promise<readonly ReplayRecord[]> {
    const due: ReplayRecord[] = [];
    for (const record of schedule.due(parts.runtime.subscriptions)) {
      const [endpoint, ...others] = endpointsOf(record);
      const reads = [endpoint, ...others].map(async (one) =>
        one === undefined
          ? null
          : parts
              .openLetters(one)
              .next(`${one.subject}.${onlySubscription(record.request.filter) ?? "*"}.>`, 1, stopping.signal),
      );
      const found = await Promise.all(reads);
      if (found.some((read) => read?.kind === "found")) due.push(record);
      else schedule.lookedAt(record.id);
    }
    return due;
  }

  async function startScheduled(record: ReplayRecord): Promise<void> {
    schedule.lookedAt(record.id);
    const { signal } = stopping;
    const outcome = await records.change(record.id, (former) => (isEnded(former) ? record : null), signal);
    if (outcome.kind === "missing") await records.create(record, signal);
  }

  function begin(record: ReplayRecord, held: Lease): void {
    const halting = new AbortController();
    const ending = AbortSignal.any([held.lost, expired.signal]);
    const run: ReplayRun = startReplayRun(record, {
      find: parts.runtime.find,
      endpoints: endpointsOf(record),
      openLetters: parts.openLetters,
      openMessages: parts.openMessages,
      save: async () => {
        const change = (former: ReplayRecord) => ({ ...former, ...run.progress(), owner });
        return (await records.change(record.id, change, held.lost)).kind === "written";
      },
      taken,
      removals,
      isCurrent: held.isCurrent,
      waiting: AbortSignal.any([halting.signal, held.lost, stopping.signal]),
      ending,
      logger,
    });
    logger.info("Replay runs", { replay: record.id });
    const followed = follow(record.id, { run, held }).catch((error: unknown) => {
      logger.error("Replay failed", { replay: record.id, error: messageOf(error) });
      working.delete(record.id);
    });
    working.set(record.id, { followed, halting });
  }

  /** Keeps the record up to date until the replay ends. */
  async function follow(id: string, { run, held }: { run: ReplayRun; held: Lease }): Promise<void> {
    const over = new AbortController();
    void run.finished.then(() => over.abort()); // Never rejects.
    while (await sleep(LOOK_MS, over.signal)) await save(id, { run, held, end: null });
    const end = await run.finished;
    await removals.settled();
    await save(id, { run, held, end });
    working.delete(id);
    waking.abort();
    if (end.kind !== "stopped") await records.prune(AbortSignal.timeout(LOOK_MS));
  }

  /** Retries until the end is stored: else the replay would begin again. */
  async function save(
    id: string,
    { run, held, end }: { run: ReplayRun; held: Lease; end: ReplayEnd | null },
  ): Promise<void> {
    const progress = run.progress();
    const before = records.find(id);
    const isSame = before !== null && JSON.stringify(progress.counts) === JSON.stringify(before.counts);
    if (end === null && isSame && before.places !== null) return;
    for (let isStored = false; !isStored && held.isCurrent() && !expired.signal.aborted;) {
      const change = (record: ReplayRecord) => toEnd({ ...record, ...progress, owner }, end);
      const outcome = await records.change(id, change, held.lost);
      isStored = end === null || outcome.kind !== "unavailable";
      if (!isStored) await sleep(LOOK_MS, held.lost);
    }
    if (end !== null) logger.info("Replay ended", { replay: id, ...toFields(end), ...progress.counts });
  }

  async function create(
    request: ReplayRequest,
    { scope, signal }: { readonly scope: ReplayScope | null; readonly signal: AbortSignal },
  ): ReturnType<Replays["create"]> {
    const unfinished = records.list().filter((record) => !isEnded(record));
    const tenants = unfinished.filter((record) => isOfTenant(record.scope));
    const isOwn = (other: ReplayRecord) => other.scope?.application === scope?.application;
    const isTooMany =
      unfinished.length >= MAX_UNFINISHED ||
      (isOfTenant(scope) &&
        (tenants.length >= MAX_OF_TENANTS || tenants.filter(isOwn).length >= MAX_OF_TENANT));
    if (isTooMany) return { kind: "too-many" };
    const id = randomUUID().slice(0, 8);
    return records.create(newReplay(id, request, { maxReplays: null, now: new Date(), scope }), signal);
  }

  return {
    isKnown: () => isKnown,
    list: records.list,
    find: records.find,
    async create(request, options) {
      if (!(await creating.acquire(options.signal))) return { kind: "unavailable", reason: "stopped" };
      return create(request, options).finally(creating.release);
    },
    command: (id, command, signal) =>
      records.change(id, (record) => commandReplay(record, command, new Date()), signal),
    async stop(graceMs) {
      forget();
      removals.close();
      const timer = setTimeout(() => expired.abort(), graceMs);
      stopping.abort();
      await finished;
      clearTimeout(timer);
      expired.abort();
    },
  };
}

function isOfTenant(scope: ReplayScope | null): boolean {
  return scope !== null && scope.application !== null;
}

function toEnd(record: ReplayRecord, end: ReplayEnd | null): ReplayRecord {
  if (end === null || end.kind === "stopped" || record.state === "stopped") return record;
  const reason = end.kind === "failed" ? end.reason : null;
  return { ...record, state: end.kind, reason, endedAt: new Date().toISOString() };
}

function toFields(end: ReplayEnd): { readonly end: string; readonly reason?: string } {
  return end.kind === "failed" ? { end: end.kind, reason: end.reason } : { end: end.kind };
}

/** The endpoints of the replay's subscription, else all; without duplicates. */
function endpointsFor(
  { filter }: ReplayRequest,
  { find, all }: { find: Runtime["find"]; all: readonly DeadLetterEndpoint[] },
): readonly DeadLetterEndpoint[] {
  const id = onlySubscription(filter);
  const only = id === null ? null : find(id);
  const distinct = new Map<string, DeadLetterEndpoint>();
  for (const endpoint of only?.subscription.deadLetters ?? all) {
    const key = JSON.stringify([endpoint.domain, endpoint.stream, endpoint.subject]);
    if (!distinct.has(key)) distinct.set(key, endpoint);
  }
  return [...distinct.values()];
}

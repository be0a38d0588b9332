// A replay of dead letters: its request, its progress, and the letters that it takes.

import { type LetterFilter, LETTER_REASONS, parseStatusFilter } from "./letter.ts";
import type { Qos } from "./policy.ts";
import type { ReplayLetter } from "./replay-letter.ts";

/** Of a list any of its values; null or empty: whatever it is. */
export interface ReplayFilter {
  readonly subscription: readonly string[];
  readonly entrypoint: readonly string[];
  readonly application: readonly string[];
  readonly reason: readonly string[];
  /** `404`, `4xx`, `0`. */
  readonly status: readonly string[];
  /** When the letter was stored, RFC 3339: `from` inclusive, `to` exclusive. */
  readonly from: string | null;
  readonly to: string | null;
  /** Parts of its error text. */
  readonly error: readonly string[];
}

/** Messages of a subscription's stream that it is sent once more, beside its position. */
export type Resend = { readonly subscription: string } & (
  | {
      readonly kind: "sequences";
      /** Both inclusive; `to` null: the last message. */
      readonly from: number;
      readonly to: number | null;
      /** Of the one message that is meant; null: whichever is there. */
      readonly timeToken: string | null;
    }
  /** RFC 3339: `from` inclusive, `to` exclusive; null: until now. */
  | { readonly kind: "times"; readonly from: string; readonly to: string | null }
);

/** Where whoever asked for a replay may see it; null in it: any. */
export interface ReplayScope {
  readonly entrypoint: string | null;
  readonly application: string | null;
}

export interface ReplayRequest {
  readonly filter: ReplayFilter;
  /** Null: dead letters. */
  readonly resend: Resend | null;
  /** Null: all that match. */
  readonly ids: readonly string[] | null;
  /** The subscription that gets them; null: each the one it came from. */
  readonly to: string | null;
  /** Letters per second; null: as fast as they are taken. */
  readonly rate: number | null;
  /** Letters at once; null: as many as the subscription has connections. */
  readonly concurrency: number | null;
  /** Letters in all; null: without limit. */
  readonly max: number | null;
  /** Those too that may have reached the callback of an AT_MOST_ONCE subscription. */
  readonly force: boolean;
  /** Only counts. */
  readonly dryRun: boolean;
}

/** How often a replay went past a letter, by reason. */
export interface SkippedCounts {
  /** Not written by Relay, as far as it can tell, and not named. */
  readonly foreign: number;
  /** Replayed as often as the schedule allows. */
  readonly exhausted: number;
  readonly needsForce: number;
  /** Its subscription is none of this relay's, or its time is over. */
  readonly noSubscription: number;
  /** Not there: delivered, replaced or purged meanwhile, or an id of none. */
  readonly gone: number;
  /** A message of the stream that was named, and that the subscription does not take. */
  readonly excluded: number;
}

export interface ReplayCounts {
  readonly delivered: number;
  readonly failed: number;
  /** Of a dry run. */
  readonly matching: number;
  readonly skipped: SkippedCounts;
}

/** A stream of dead letters; what it stores after `last` is not replayed. */
export interface ReplayPlace {
  /** Of the endpoint. */
  readonly name: string;
  readonly domain: string | null;
  readonly stream: string;
  readonly subject: string;
  readonly last: number;
}

type ReplayState = "running" | "paused" | "stopped" | "done" | "failed";

export interface ReplayRecord {
  readonly id: string;
  readonly request: ReplayRequest;
  /** Null: an operator asked for it, below `/api`. */
  readonly scope: ReplayScope | null;
  /** Of a schedule; null: it was asked for, and each letter may be replayed as often as one likes. */
  readonly maxReplays: number | null;
  readonly state: ReplayState;
  /** Why it failed. */
  readonly reason: string | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
  /** The relay that worked on it last. */
  readonly owner: string | null;
  readonly counts: ReplayCounts;
  /** Null: not looked at yet. */
  readonly places: readonly ReplayPlace[] | null;
  /** What comes before is done with: a sequence for each place, or an index of `ids`. */
  readonly cursors: readonly number[];
}

export type ReplayCommand = "pause" | "resume" | "stop";

export const NO_FILTER: ReplayFilter = {
  subscription: [],
  entrypoint: [],
  application: [],
  reason: [],
  status: [],
  from: null,
  to: null,
  error: [],
};

/** Every letter, into the subscription it came from, as fast as that takes it. */
export const REPLAY_ALL: ReplayRequest = {
  filter: NO_FILTER,
  resend: null,
  ids: null,
  to: null,
  rate: null,
  concurrency: null,
  max: null,
  force: false,
  dryRun: false,
};

const NO_COUNTS: ReplayCounts = {
  delivered: 0,
  failed: 0,
  matching: 0,
  skipped: { foreign: 0, exhausted: 0, needsForce: 0, noSubscription: 0, gone: 0, excluded: 0 },
};

/** As it begins. */
export function newReplay(
  id: string,
  request: ReplayRequest,
  {
    maxReplays,
    now,
    scope = null,
  }: { readonly maxReplays: number | null; readonly now: Date; readonly scope?: ReplayScope | null },
): ReplayRecord {
  return {
    id,
    request,
    scope,
    maxReplays,
    state: "running",
    reason: null,
    startedAt: now.toISOString(),
    endedAt: null,
    owner: null,
    counts: NO_COUNTS,
    places: null,
    cursors: [],
  };
}

const STATES: ReadonlySet<unknown> = new Set(["running", "paused", "stopped", "done", "failed"]);

export function isEnded({ state }: ReplayRecord): boolean {
  return state === "stopped" || state === "done" || state === "failed";
}

/** Null: it cannot be commanded so in its state. */
export function commandReplay(record: ReplayRecord, command: ReplayCommand, now: Date): ReplayRecord | null {
  if (isEnded(record)) return null;
  switch (command) {
    case "pause":
      return { ...record, state: "paused" };
    case "resume":
      return { ...record, state: "running" };
    case "stop":
      return { ...record, state: "stopped", endedAt: now.toISOString() };
  }
}

/** Whether whoever asked for a replay may send to that subscription. */
export function isInScope(
  { entrypoint, application }: { readonly entrypoint: string; readonly application: string | null },
  scope: ReplayScope | null,
): boolean {
  if (scope === null) return true;
  const isOfEntrypoint = scope.entrypoint === null || scope.entrypoint === entrypoint;
  return isOfEntrypoint && (scope.application === null || scope.application === application);
}

export function toLetterFilter(filter: ReplayFilter): LetterFilter {
  const { subscription, entrypoint, application, reason, status, from, to, error } = filter;
  return {
    subscription,
    entrypoint,
    application,
    reason: LETTER_REASONS.filter((known) => reason.includes(known)),
    status: status.flatMap((text) => parseStatusFilter(text) ?? []),
    from: from === null ? null : new Date(from),
    to: to === null ? null : new Date(to),
    error,
  };
}

/** Whether it may have reached this callback, and would so be sent a second time. */
export function mayHaveArrived(
  { letter, isMarked }: ReplayLetter,
  target: { id: string; qos: Qos },
): boolean {
  if (target.qos !== "AT_MOST_ONCE") return false;
  return isMarked || (letter.subscription === target.id && letter.reason !== "rejected");
}

/** Null: it is no such record. */
export function parseReplayRecord(text: string): ReplayRecord | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isReplayRecord(value)) return null;
  const { request, counts } = value;
  // What an earlier version wrote knows neither scopes nor resends, and one value of each filter.
  const skipped = { ...NO_COUNTS.skipped, ...counts.skipped };
  return {
    ...value,
    scope: value.scope ?? null,
    request: { ...REPLAY_ALL, ...request, filter: toFilter(request.filter) },
    counts: { ...counts, skipped },
  };
}

type Value<T> = T extends readonly unknown[] ? T | string | null : T;

function toFilter(kept: { readonly [Name in keyof ReplayFilter]: Value<ReplayFilter[Name]> }): ReplayFilter {
  const many = (value: readonly string[] | string | null) => [value ?? []].flat();
  return {
    subscription: many(kept.subscription),
    entrypoint: many(kept.entrypoint),
    application: many(kept.application),
    reason: many(kept.reason),
    status: many(kept.status),
    from: kept.from,
    to: kept.to,
    error: many(kept.error),
  };
}

/** Written by relays only: what holds the rest is looked at. */
function isReplayRecord(value: unknown): value is ReplayRecord {
  if (typeof value !== "object" || value === null) return false;
  const { id, state, request, counts, cursors } = value as Partial<Record<keyof ReplayRecord, unknown>>;
  const isObject = (part: unknown) => typeof part === "object" && part !== null;
  return (
    typeof id === "string" &&
    STATES.has(state) &&
    isObject(request) &&
    isObject(counts) &&
    Array.isArray(cursors)
  );
}

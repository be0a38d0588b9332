// The dead letters of a relay, read back: listed, counted, shown, removed; nothing is left behind on the server.

import {
  type LetterEntry,
  EVERY_LETTER,
  type LetterFilter,
  type LetterReason,
  meetsFilter,
} from "#delivery/letter.ts";
import type { DeadLetterEndpoint } from "#delivery/subscription.ts";
import type { Connection } from "#nats/connection.ts";
import { type LetterPositions, parseLetterCursor, toLetterCursor } from "./cursor.ts";
import { findLetter, type FindResult } from "./find.ts";
import { toPlaces } from "./locations.ts";
import { type PurgeOutcome, type PurgeRequest, purgeLetters, removeByIds } from "./purge.ts";
import type { LetterSeal } from "./seal.ts";
import { type LetterFault, type ScanEnd, type ScanRequest, scanLetters } from "./scan.ts";

export interface Letters {
  /** Newest first. A page may be short, or empty, and yet not the last one: it looked at as much as one page may. */
  readonly list: (request: ListRequest) => Promise<LetterPage>;
  /** Of all that is there; as it was some seconds ago at most. */
  readonly counts: () => Promise<LetterCounts>;
  readonly find: (id: string, signal: AbortSignal) => Promise<FindResult>;
  /** Letters only, of those that a dry run showed. */
  readonly purge: (request: PurgeRequest) => Promise<PurgeOutcome>;
  /** Whatever it is, letter or not. */
  readonly remove: (
    ids: readonly string[],
    options: { isDryRun: boolean; signal: AbortSignal },
  ) => Promise<PurgeOutcome>;
}

interface ListRequest {
  readonly filter: LetterFilter;
  readonly limit: number;
  /** null: the first page. */
  readonly cursor: string | null;
  readonly signal: AbortSignal;
}

export type LetterPage =
  | {
      readonly kind: "page";
      readonly entries: readonly LetterEntry[];
      /** null: there is nothing more. */
      readonly next: string | null;
      /** Date of the last entry that was looked at, where that is not the last one shown; null: it is. */
      readonly continuesAt: Date | null;
      readonly faults: readonly LetterFault[];
    }
  | { readonly kind: "bad-cursor" }
  | { readonly kind: "unavailable"; readonly reason: string };

export type LetterCounts =
  | {
      readonly kind: "counted";
      readonly at: Date;
      readonly letters: number;
      readonly foreign: number;
      readonly byReason: Readonly<Record<LetterReason | "unknown", number>>;
      /** The thousand first met. */
      readonly bySubscription: ReadonlyMap<string, number>;
      /** False: only the newest were counted. */
      readonly isComplete: boolean;
      readonly faults: readonly LetterFault[];
    }
  | { readonly kind: "unavailable"; readonly reason: string };

const PAGE_ENTRIES = 20_000;
const PAGE_MS = 1000;
const COUNT_ENTRIES = 500_000;
const COUNT_MS = 8000;
const COUNTS_LAST_MS = 5000;
const MAX_SUBSCRIPTIONS = 1000;

/** `endpoints`: as they are now; the same one may come several times. */
export function openLetters(
  connection: Connection,
  endpoints: () => readonly DeadLetterEndpoint[],
  seal: LetterSeal,
): Letters {
  let counting: Promise<LetterCounts> | null = null;
  let countedAt = Number.NEGATIVE_INFINITY;

  function scan(request: ScanRequest): Promise<ScanEnd> {
    return scanLetters(connection, { places: toPlaces(endpoints()), seal }, request);
  }

  async function list({ filter, limit, cursor, signal }: ListRequest): Promise<LetterPage> {
    const start: LetterPositions | null = cursor === null ? null : parseLetterCursor(cursor);
    if (cursor !== null && start === null) return { kind: "bad-cursor" };
    const entries: LetterEntry[] = [];
    const end = await scan({
      filter,
      start,
      wanted: limit,
      maxEntries: PAGE_ENTRIES,
      withinMs: PAGE_MS,
      signal,
      take(entry) {
        if (meetsFilter(entry, filter)) entries.push(entry);
        return entries.length < limit;
      },
    });
    if (end.isBlind) return { kind: "unavailable", reason: describeFaults(end.faults) };
    const isCut = !end.isComplete && entries.length < limit;
    return {
      kind: "page",
      entries,
      next: end.isComplete || isStuck(end) ? null : toLetterCursor(end.end),
      continuesAt: isCut ? end.reachedAt : null,
      faults: end.faults,
    };
  }

  async function count(): Promise<LetterCounts> {
    const byReason = { rejected: 0, "server-error": 0, exception: 0, unknown: 0 };
    const bySubscription = new Map<string, number>();
    let foreign = 0;
    let letters = 0;
    const end = await scan({
      filter: EVERY_LETTER,
      start: null,
      wanted: COUNT_ENTRIES,
      maxEntries: COUNT_ENTRIES,
      withinMs: COUNT_MS,
      signal: AbortSignal.timeout(COUNT_MS),
      take(entry) {
        if (entry.kind === "foreign") {
          foreign += 1;
          return true;
        }
        letters += 1;
        byReason[entry.reason ?? "unknown"] += 1;
        const known = bySubscription.get(entry.subscription);
        if (known !== undefined || bySubscription.size < MAX_SUBSCRIPTIONS)
          bySubscription.set(entry.subscription, (known ?? 0) + 1);
        return true;
      },
    });
    if (end.isBlind) return { kind: "unavailable", reason: describeFaults(end.faults) };
    const { isComplete, faults } = end;
    return {
      kind: "counted",
      at: new Date(),
      letters,
      foreign,
      byReason,
      bySubscription,
      isComplete,
      faults,
    };
  }

  /** One count at a time, whoever asks. */
  async function counts(): Promise<LetterCounts> {
    if (counting !== null && performance.now() - countedAt < COUNTS_LAST_MS) return counting;
    countedAt = Number.POSITIVE_INFINITY;
    counting = count().finally(() => (countedAt = performance.now()));
    return counting;
  }

  return {
    list,
    counts,
    find: (id, signal) => findLetter(connection, { places: toPlaces(endpoints()), seal }, { id, signal }),
    purge: (request) => purgeLetters(connection, { scan, places: toPlaces(endpoints()), request }),
    remove: (ids, options) =>
      removeByIds(connection, { places: toPlaces(endpoints()), seal, ids, ...options }),
  };
}

/** A page that moved nowhere leads nowhere: what it lacks is among its faults. */
function isStuck({ scanned, faults, start, end }: ScanEnd): boolean {
  if (scanned > 0 || faults.length === 0) return false;
  return [...end].every(([key, position]) => start.get(key) === position);
}

function describeFaults(faults: readonly LetterFault[]): string {
  return faults.map(({ endpoint, reason }) => `${endpoint}: ${reason}`).join("; ");
}

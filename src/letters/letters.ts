// Dead letters for operators: list, count, show, purge. Leaves no consumer behind on the server.

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
import { toLocations } from "./locations.ts";
import { type PurgeOutcome, type PurgeRequest, purgeLetters, removeByIds } from "./purge.ts";
import type { LetterSigner } from "./signer.ts";
import { type LetterFault, type ScanEnd, type ScanRequest, scanLetters } from "./scan.ts";

export interface Letters {
  /** Newest first. A page may be short or empty without being the last: one page looks at a limited number of letters. */
  readonly list: (request: ListRequest) => Promise<LetterPage>;
  /** Counts all letters; the result may be some seconds old. */
  readonly counts: () => Promise<LetterCounts>;
  readonly find: (id: string, signal: AbortSignal) => Promise<FindResult>;
  /** Purges letters (no foreign entries) that a dry run has counted. */
  readonly purge: (request: PurgeRequest) => Promise<PurgeOutcome>;
  /** Removes entries by id, foreign ones too. */
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
      /** null: this is the last page. */
      readonly next: string | null;
      /** Date of the last entry that the page looked at; null: the page shows that entry. */
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
      /** The first thousand found. */
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

/** `endpoints`: the current ones; duplicates allowed. */
export function openLetters(
  connection: Connection,
  endpoints: () => readonly DeadLetterEndpoint[],
  signer: LetterSigner,
): Letters {
  let counting: Promise<LetterCounts> | null = null;
  let countedAt = Number.NEGATIVE_INFINITY;

  function scan(request: ScanRequest): Promise<ScanEnd> {
    return scanLetters(connection, { locations: toLocations(endpoints()), signer }, request);
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
    const byReason = { rejected: 0, "server-error": 0, exception: 0, expression: 0, expired: 0, unknown: 0 };
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

  /** Concurrent callers share one count. */
  async function counts(): Promise<LetterCounts> {
    if (counting !== null && performance.now() - countedAt < COUNTS_LAST_MS) return counting;
    countedAt = Number.POSITIVE_INFINITY;
    counting = count().finally(() => (countedAt = performance.now()));
    return counting;
  }

  return {
    list,
    counts,
    find: (id, signal) =>
      findLetter(connection, { locations: toLocations(endpoints()), signer }, { id, signal }),
    purge: (request) => purgeLetters(connection, { scan, locations: toLocations(endpoints()), request }),
    remove: (ids, options) =>
      removeByIds(connection, { locations: toLocations(endpoints()), signer, ids, ...options }),
  };
}

/** No next page if this one made no progress; its faults say why. */
function isStuck({ scanned, faults, start, end }: ScanEnd): boolean {
  if (scanned > 0 || faults.length === 0) return false;
  return [...end].every(([key, position]) => start.get(key) === position);
}

function describeFaults(faults: readonly LetterFault[]): string {
  return faults.map(({ endpoint, reason }) => `${endpoint}: ${reason}`).join("; ");
}

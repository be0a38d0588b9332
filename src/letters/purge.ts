// Takes letters out of their streams one by one: never one that came after what was shown, never more than were shown.

import { type LetterEntry, type LetterFilter, meetsFilter } from "#delivery/letter.ts";
import type { Connection } from "#nats/connection.ts";
import { parseLetterCursor, toLetterCursor } from "./cursor.ts";
import { findLetter } from "./find.ts";
import { removeLetterMessage } from "./message.ts";
import type { LetterPlace } from "./locations.ts";
import type { LetterSeal } from "./seal.ts";
import type { ScanEnd, ScanRequest } from "./scan.ts";

export interface PurgeRequest {
  readonly filter: LetterFilter;
  /** From a dry run; null: this is the first one. */
  readonly cursor: string | null;
  /** At most so many: what the dry run counted, less what was purged since; null: this is a dry run. */
  readonly confirmed: number | null;
  readonly signal: AbortSignal;
}

export type PurgeOutcome =
  | {
      readonly kind: "done";
      readonly matched: number;
      readonly purged: number;
      /** Where it began: with it a later call sees no letter that came meanwhile. */
      readonly start: string;
      /** Where to go on; null: at the end. */
      readonly next: string | null;
      /** Why something is left, of what was to be purged; null: nothing is. */
      readonly obstacle: string | null;
    }
  | { readonly kind: "bad-cursor" }
  /** Nothing was purged. */
  | { readonly kind: "too-many"; readonly matched: number }
  | { readonly kind: "unavailable"; readonly reason: string };

interface Removal {
  readonly purged: number;
  readonly obstacle: string | null;
  /** The time of one call was over before the end. */
  readonly isCut: boolean;
}

/** Of one call: whoever wants more asks again. */
const MAX_MATCHES = 10_000;
const MAX_SCANNED = 50_000;
const SCAN_MS = 3000;
const REMOVE_MS = 8000;
const IN_FLIGHT = 32;

export async function purgeLetters(
  connection: Connection,
  {
    scan,
    places,
    request,
  }: {
    scan: (request: ScanRequest) => Promise<ScanEnd>;
    places: readonly LetterPlace[];
    request: PurgeRequest;
  },
): Promise<PurgeOutcome> {
  const { filter, cursor, confirmed, signal } = request;
  const start = cursor === null ? null : parseLetterCursor(cursor);
  if (cursor !== null && start === null) return { kind: "bad-cursor" };
  const matches: LetterEntry[] = [];
  let matched = 0;
  const end = await scan({
    filter,
    start,
    wanted: MAX_MATCHES,
    maxEntries: MAX_SCANNED,
    withinMs: SCAN_MS,
    signal,
    take(entry) {
      if (entry.kind === "foreign" || !meetsFilter(entry, filter)) return true;
      matched += 1;
      if (confirmed !== null) matches.push(entry);
      return matched < MAX_MATCHES;
    },
  });
  const fault = end.faults[0];
  if (fault !== undefined) return { kind: "unavailable", reason: `${fault.endpoint}: ${fault.reason}` };
  if (confirmed !== null && matched > confirmed) return { kind: "too-many", matched };
  const { purged, obstacle, isCut } = await removeAll(connection, { entries: matches, places, signal });
  const from = toLetterCursor(end.start);
  // What is left is met again from the same start: what was purged before it is gone.
  const next = obstacle !== null || isCut ? from : end.isComplete ? null : toLetterCursor(end.end);
  return { kind: "done", matched, purged, start: from, next, obstacle };
}

/** An id that nothing has is not matched. An entry that lies at several endpoints is removed from all of them. */
export async function removeByIds(
  connection: Connection,
  {
    places,
    seal,
    ids,
    isDryRun,
    signal,
  }: {
    places: readonly LetterPlace[];
    seal: LetterSeal;
    ids: readonly string[];
    isDryRun: boolean;
    signal: AbortSignal;
  },
): Promise<PurgeOutcome> {
  let matched = 0;
  let purged = 0;
  let obstacle: string | null = null;
  for (const id of new Set(ids)) {
    if (signal.aborted || obstacle !== null) break;
    let seen = false;
    for (let copies = 0; copies < places.length && obstacle === null; copies += 1) {
      const result = await findLetter(connection, { places, seal }, { id, signal });
      if (result.kind === "unavailable") ({ reason: obstacle } = result);
      if (result.kind !== "found") break;
      seen = true;
      if (isDryRun) break;
      const removal = await removeAll(connection, { entries: [result.letter.entry], places, signal });
      ({ obstacle } = removal);
      if (copies === 0) purged += removal.purged;
    }
    if (seen) matched += 1;
  }
  return { kind: "done", matched, purged, start: toLetterCursor(new Map()), next: null, obstacle };
}

/** The first refusal ends it. */
async function removeAll(
  connection: Connection,
  {
    entries,
    places,
    signal,
  }: { entries: readonly LetterEntry[]; places: readonly LetterPlace[]; signal: AbortSignal },
): Promise<Removal> {
  const deadline = performance.now() + REMOVE_MS;
  let purged = 0;
  let obstacle: string | null = null;
  let isCut = false;
  let index = 0;

  async function work(): Promise<void> {
    while (obstacle === null && !isCut) {
      const entry = entries[index];
      if (entry === undefined) return;
      isCut = signal.aborted || performance.now() > deadline;
      if (isCut) return;
      index += 1;
      const place = places.find(({ name }) => name === entry.endpoint);
      if (place === undefined) continue;
      const ref = { domain: place.domain, stream: place.stream, sequence: entry.position };
      const result = await removeLetterMessage(connection, ref, signal);
      if (result.kind === "removed") purged += 1;
      if (result.kind === "unavailable") obstacle = result.reason;
    }
  }

  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, entries.length) }, work));
  return { purged, obstacle, isCut };
}

// Purges dead letters one by one: none that came after the dry run, and never more than it counted.

import { type LetterEntry, type LetterFilter, meetsFilter } from "#delivery/letter.ts";
import type { Connection } from "#nats/connection.ts";
import { parseLetterCursor, toLetterCursor } from "./cursor.ts";
import { findLetter } from "./find.ts";
import { removeLetterMessage } from "./message.ts";
import type { LetterLocation } from "./locations.ts";
import type { LetterSigner } from "./signer.ts";
import type { ScanEnd, ScanRequest } from "./scan.ts";

export interface PurgeRequest {
  readonly filter: LetterFilter;
  /** The `start` that the dry run returned; null: the first call of a dry run. */
  readonly cursor: string | null;
  /** How many letters may still go: the dry run's count, less those purged since; null: a dry run. */
  readonly confirmed: number | null;
  readonly signal: AbortSignal;
}

export type PurgeOutcome =
  | {
      readonly kind: "done";
      readonly matched: number;
      readonly purged: number;
      /** Where it began: a later call that starts here sees no newer letter. */
      readonly start: string;
      /** Where to continue; null: done. */
      readonly next: string | null;
      /** Why some letters could not be purged; null: all were. */
      readonly obstacle: string | null;
    }
  | { readonly kind: "bad-cursor" }
  /** Nothing was purged. */
  | { readonly kind: "too-many"; readonly matched: number }
  | { readonly kind: "unavailable"; readonly reason: string };

interface Removal {
  readonly purged: number;
  readonly obstacle: string | null;
  /** The time limit of one call ended it early. */
  readonly isCut: boolean;
}

/** Time limit of one call; call again for more. */
const MAX_MATCHES = 10_000;
const MAX_SCANNED = 50_000;
const SCAN_MS = 3000;
const REMOVE_MS = 8000;
const IN_FLIGHT = 32;

export async function purgeLetters(
  connection: Connection,
  {
    scan,
    locations,
    request,
  }: {
    scan: (request: ScanRequest) => Promise<ScanEnd>;
    locations: readonly LetterLocation[];
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
  const { purged, obstacle, isCut } = await removeAll(connection, { entries: matches, locations, signal });
  const from = toLetterCursor(end.start);
  // The next call begins at the same start and finds only what is left.
  const next = obstacle !== null || isCut ? from : end.isComplete ? null : toLetterCursor(end.end);
  return { kind: "done", matched, purged, start: from, next, obstacle };
}

/** Ignores unknown ids. Removes an entry from every endpoint that has it. */
export async function removeByIds(
  connection: Connection,
  {
    locations,
    signer,
    ids,
    isDryRun,
    signal,
  }: {
    locations: readonly LetterLocation[];
    signer: LetterSigner;
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
    for (let copies = 0; copies < locations.length && obstacle === null; copies += 1) {
      const result = await findLetter(connection, { locations, signer }, { id, signal });
      if (result.kind === "unavailable") ({ reason: obstacle } = result);
      if (result.kind !== "found") break;
      seen = true;
      if (isDryRun) break;
      const removal = await removeAll(connection, { entries: [result.letter.entry], locations, signal });
      ({ obstacle } = removal);
      if (copies === 0) purged += removal.purged;
    }
    if (seen) matched += 1;
  }
  return { kind: "done", matched, purged, start: toLetterCursor(new Map()), next: null, obstacle };
}

/** Stops at the first refusal. */
async function removeAll(
  connection: Connection,
  {
    entries,
    locations,
    signal,
  }: { entries: readonly LetterEntry[]; locations: readonly LetterLocation[]; signal: AbortSignal },
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
      const location = locations.find(({ name }) => name === entry.endpoint);
      if (location === undefined) continue;
      const ref = { domain: location.domain, stream: location.stream, sequence: entry.position };
      const result = await removeLetterMessage(connection, ref, signal);
      if (result.kind === "removed") purged += 1;
      if (result.kind === "unavailable") obstacle = result.reason;
    }
  }

  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, entries.length) }, work));
  return { purged, obstacle, isCut };
}

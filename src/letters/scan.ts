// Scans the dead letters of all locations, newest first, up to a limit of entries and time.

import { type LetterEntry, isPast, type LetterFilter, onlySubscription } from "#delivery/letter.ts";
import type { Connection } from "#nats/connection.ts";
import { type LetterPositions, positionOf } from "./cursor.ts";
import { locationKey, type LetterLocation } from "./locations.ts";
import type { LetterSigner } from "./signer.ts";
import { type LetterSource, openSource } from "./source.ts";

export interface ScanRequest {
  /** A hint: skips subjects that cannot match. Entries that do not match may still come. */
  readonly filter: LetterFilter;
  /** Where an earlier scan ended; null: start at the newest. */
  readonly start: LetterPositions | null;
  /** Expected number of wanted entries: sets the size of the first window. */
  readonly wanted: number;
  readonly maxEntries: number;
  readonly withinMs: number;
  readonly signal: AbortSignal;
  /** False: stop the scan. */
  readonly take: (entry: LetterEntry) => boolean;
}

export interface ScanEnd {
  /** Where it began: a scan from here sees no newer letter. */
  readonly start: LetterPositions;
  readonly end: LetterPositions;
  /** No entry is left that could match the filter. */
  readonly isComplete: boolean;
  readonly scanned: number;
  /** Time of the last entry looked at. */
  readonly reachedAt: Date | null;
  /** Locations that could not be read to their end. */
  readonly faults: readonly LetterFault[];
  /** No location could be read. */
  readonly isBlind: boolean;
}

export interface LetterFault {
  readonly endpoint: string;
  readonly reason: string;
}

export async function scanLetters(
  connection: Connection,
  { locations, signer }: { locations: readonly LetterLocation[]; signer: LetterSigner },
  request: ScanRequest,
): Promise<ScanEnd> {
  const { filter, signal } = request;
  const deadline = performance.now() + request.withinMs;
  await signer.known();
  const faults: LetterFault[] = [];
  const sources: LetterSource[] = [];
  const opened = await Promise.all(
    locations.map((location) =>
      openSource(connection, location, {
        before: positionOf(request.start, location),
        subscription: onlySubscription(filter),
        wanted: request.wanted,
        signer,
        signal,
      }),
    ),
  );
  for (const [index, result] of opened.entries()) {
    const endpoint = locations[index]?.name ?? "";
    if (result.kind === "open") sources.push(result.source);
    if (result.kind === "unavailable") faults.push({ endpoint, reason: result.reason });
  }
  const isBlind = sources.length === 0 && faults.length > 0;
  const broken = new Set<LetterSource>();
  const positions = () =>
    new Map([
      ...(request.start ?? []),
      ...sources.map((source) => [locationKey(source.location), source.position()] as const),
    ]);
  const start = positions();
  let scanned = 0;
  let reachedAt: Date | null = null;

  /** Makes sure that every location has an entry ready, or is at its end. */
  async function fillAll(): Promise<boolean> {
    const empty = sources.filter((source) => isHungry(source) && !broken.has(source));
    const reasons = await Promise.all(empty.map((source) => source.fill()));
    for (const [index, reason] of reasons.entries()) {
      const source = empty[index];
      if (reason === null || source === undefined) continue;
      broken.add(source);
      faults.push({ endpoint: source.location.name, reason });
    }
    return sources.every((source) => !isHungry(source) || broken.has(source));
  }

  const isSpent = () => signal.aborted || scanned >= request.maxEntries || performance.now() > deadline;

  function end(isComplete: boolean): ScanEnd {
    const isWhole = isComplete && faults.length === 0;
    return { start, end: positions(), isComplete: isWhole, scanned, reachedAt, faults, isBlind };
  }

  for (;;) {
    while (!(await fillAll())) if (isSpent()) return end(false);
    const newest = findNewest(sources.filter((source) => !broken.has(source)));
    const entry = newest?.peek() ?? null;
    if (newest === null || entry === null || isPast(entry.storedAtNanos, filter)) return end(true);
    if (isSpent()) return end(false);
    newest.take();
    scanned += 1;
    reachedAt = entry.date;
    if (!request.take(entry)) return end(sources.every((source) => source.isAtEnd()));
  }
}

function isHungry(source: LetterSource): boolean {
  return source.peek() === null && !source.isAtEnd();
}

function findNewest(sources: readonly LetterSource[]): LetterSource | null {
  let newest: LetterSource | null = null;
  for (const source of sources) {
    const entry = source.peek();
    if (entry === null) continue;
    const other = newest?.peek() ?? null;
    if (other === null || entry.storedAtNanos > other.storedAtNanos) newest = source;
  }
  return newest;
}

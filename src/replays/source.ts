// The letters of a replay: oldest first, stream by stream, each once. Letters stored after its start are not part of it.

import { onlySubscription } from "#delivery/letter.ts";
import { type LetterId, parseLetterId } from "#delivery/letter-id.ts";
import type { ReplayPlace, ReplayRecord } from "#delivery/replay.ts";
import type { WholeLetter } from "#delivery/replay-letter.ts";
import type { DeadLetterEndpoint } from "#delivery/subscription.ts";
import type { ReplayLetters } from "#letters/replay.ts";
import { repeatUntilKnown } from "./settle.ts";

export interface Found {
  readonly place: ReplayPlace;
  readonly letters: ReplayLetters;
  readonly stored: WholeLetter;
  /** An operator named this foreign entry by its id (`@…`). */
  readonly isNamed: boolean;
  /** The letter is done: a resumed replay skips it. */
  readonly pass: () => void;
}

/** Identifies a letter of a stream. */
export function letterKey({ place, stored }: Found): string {
  return `${place.domain ?? ""}/${place.stream}/${stored.sequence}`;
}

interface ReplaySource {
  readonly places: readonly ReplayPlace[];
  /** Await each call before the next one. null: no more letters, or `signal` aborted. */
  next: (signal: AbortSignal) => Promise<Found | null>;
  /** Cursors for the record: before the oldest letter that is not done. */
  cursors: () => readonly number[];
}

interface Position {
  readonly lane: number;
  readonly at: number;
}

/** Waits until all streams have answered. null: `signal` aborted first. */
export async function openReplaySource(
  { request, places: known, cursors: kept }: ReplayRecord,
  {
    endpoints,
    openLetters,
    onMissing,
    signal,
  }: {
    endpoints: readonly DeadLetterEndpoint[];
    openLetters: (endpoint: DeadLetterEndpoint) => ReplayLetters;
    /** Called for each id without a letter. */
    onMissing: () => void;
    signal: AbortSignal;
  },
): Promise<ReplaySource | null> {
  const places = known ?? (await lookAt(endpoints, { openLetters, signal }));
  if (places === null) return null;
  const { ids, filter } = request;
  const shelves = places.map((place) => openLetters({ ...place, create: null }));
  const lanes = ids === null ? places.length : 1;
  const first = ids === null ? 1 : 0;
  const cursors = Array.from({ length: lanes }, (_, lane) => kept[lane] ?? first);
  const only = onlySubscription(filter);
  const open = new Set<Position>();
  /** Number of locations already searched for the id at the cursor. */
  let placesTried = 0;
  let isMissing = true;
  let lane = 0;

  function found(stored: WholeLetter, index: number, position: Position, isNamed = false): Found | null {
    const place = places?.[index];
    const letters = shelves[index];
    if (place === undefined || letters === undefined) return null;
    open.add(position);
    return { place, letters, stored, isNamed, pass: () => void open.delete(position) };
  }

  async function nextOfWalk(stopping: AbortSignal): Promise<Found | null> {
    for (; lane < lanes; lane += 1) {
      const place = places?.[lane];
      const letters = shelves[lane];
      if (place === undefined || letters === undefined) return null;
      const subjects = `${place.subject}.${only === null ? ">" : `${only}.>`}`;
      const at = cursors[lane] ?? 1;
      const stored =
        at > place.last ? "none" : await untilKnown(() => letters.next(subjects, at, stopping), stopping);
      if (stored === null) return null;
      if (stored !== "none" && stored.sequence <= place.last) {
        cursors[lane] = stored.sequence + 1;
        return found(stored, lane, { lane, at: stored.sequence });
      }
      cursors[lane] = place.last + 1;
    }
    return null;
  }

  async function nextOfIds(list: readonly string[], stopping: AbortSignal): Promise<Found | null> {
    for (;;) {
      const at = cursors[0] ?? 0;
      const id = list[at];
      if (id === undefined) return null;
      const place = places?.[placesTried];
      const letters = shelves[placesTried];
      if (place === undefined || letters === undefined) {
        if (isMissing) onMissing();
        cursors[0] = at + 1;
        placesTried = 0;
        isMissing = true;
        continue;
      }
      const parsed = parseLetterId(id);
      placesTried += 1;
      if (parsed === null || !isAt(parsed, place)) continue;
      const stored = await untilKnown(() => readNamed(letters, parsed, place, stopping), stopping);
      if (stored === null) return null;
      if (stored !== "none" && stored.sequence <= place.last && isMeant(stored, parsed, place)) {
        isMissing = false;
        return found(stored, placesTried - 1, { lane: 0, at }, parsed.kind === "foreign");
      }
    }
  }

  return {
    places,
    next: (stopping) => (ids === null ? nextOfWalk(stopping) : nextOfIds(ids, stopping)),
    cursors: () =>
      cursors.map((cursor, index) =>
        Math.min(cursor, ...[...open].filter((position) => position.lane === index).map(({ at }) => at)),
      ),
  };
}

/** A foreign entry's id consists of its stream and sequence. */
function isAt(id: LetterId, { domain, stream }: ReplayPlace): boolean {
  return id.kind === "letter" || (id.domain === domain && id.stream === stream);
}

function readNamed(
  letters: ReplayLetters,
  id: LetterId,
  { subject }: ReplayPlace,
  signal: AbortSignal,
): ReturnType<ReplayLetters["newest"]> {
  return id.kind === "letter"
    ? letters.newest(`${subject}.${id.subjectSuffix}`, signal)
    : letters.at(id.sequence, signal);
}

/** Excludes another entry with the same sequence, in a re-created stream or under another subject. */
function isMeant(stored: WholeLetter, id: LetterId, { subject }: ReplayPlace): boolean {
  if (id.kind === "letter") return true;
  return stored.storedAtNanos === id.storedAtNanos && stored.subject.startsWith(`${subject}.`);
}

async function lookAt(
  endpoints: readonly DeadLetterEndpoint[],
  {
    openLetters,
    signal,
  }: { openLetters: (endpoint: DeadLetterEndpoint) => ReplayLetters; signal: AbortSignal },
): Promise<readonly ReplayPlace[] | null> {
  const places: ReplayPlace[] = [];
  for (const endpoint of endpoints) {
    const { name, domain, stream, subject } = endpoint;
    const letters = openLetters(endpoint);
    const last = await repeatUntilKnown(() => letters.lastSequence(signal), signal);
    if (last === null) return null;
    places.push({ name, domain, stream, subject, last });
  }
  return places;
}

/** null: `signal` aborted first. */
function untilKnown(
  read: () => ReturnType<ReplayLetters["newest"]>,
  signal: AbortSignal,
): Promise<WholeLetter | "none" | null> {
  return repeatUntilKnown(async () => {
    const result = await read();
    if (result.kind === "found") return result.letter;
    return result.kind === "none" ? "none" : null;
  }, signal);
}

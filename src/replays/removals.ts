// Remembers letters that replays delivered and removed: a killed server may forget the removal.
//
// After each reconnect, looks for them and removes those that are back.

import type { WholeLetter } from "#delivery/replay-letter.ts";
import type { Logger } from "#lib/logger.ts";
import type { ReplayLetters } from "#letters/replay.ts";
import { readLetter, removeLetter } from "./settle.ts";

/** Identifies a letter: in a re-created stream, another letter may have its sequence. */
export type RemovedLetter = Pick<WholeLetter, "domain" | "stream" | "sequence" | "subject" | "storedAtNanos">;

export interface Removals {
  has: (letter: RemovedLetter) => boolean;
  add: (letter: RemovedLetter, letters: ReplayLetters) => void;
  /** Resolves when the check after a reconnect is done, or `signal` aborted. Never rejects. */
  settled: () => Promise<void>;
  /** Stops checking. */
  close: () => void;
}

export interface RemovalsOptions {
  readonly onReconnect: (listener: () => void) => () => void;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

interface Removal extends RemovedLetter {
  readonly letters: ReplayLetters;
  readonly at: number;
}

const MAX_REMOVALS = 65_536;
/** Twice the server's default `sync_interval`. */
const FORGETTABLE_MS = 240_000;
/** Letters checked at once. */
const BATCH = 16;

export function createRemovals({ onReconnect, logger, signal }: RemovalsOptions): Removals {
  /** Newest last. */
  const removals = new Map<string, Removal>();
  let isDue = false;
  let looking: Promise<void> | null = null;
  const forget = onReconnect(() => {
    isDue = removals.size > 0;
    if (isDue) looking ??= look();
  });

  /** Never rejects. */
  async function look(): Promise<void> {
    while (isDue && !signal.aborted) {
      isDue = false;
      await removeForgotten();
    }
    looking = null;
  }

  async function removeForgotten(): Promise<void> {
    const oldest = performance.now() - FORGETTABLE_MS;
    const recent = [...removals.values()].filter(({ at }) => at > oldest);
    let letters = 0;
    for (let start = 0; start < recent.length && !signal.aborted; start += BATCH) {
      const results = await Promise.all(recent.slice(start, start + BATCH).map(removeAgain));
      letters += results.filter(Boolean).length;
    }
    if (letters > 0)
      logger.warn("NATS forgot removals of delivered dead letters: removed them again", { letters });
  }

  /** True if it was back. */
  async function removeAgain({ letters, ...place }: Removal): Promise<boolean> {
    const stored = await readLetter(letters, place.sequence, signal);
    if (stored === null || keyOf(stored) !== keyOf(place)) return false;
    add(place, letters);
    return removeLetter(letters, place.sequence, signal);
  }

  function add(place: RemovedLetter, letters: ReplayLetters): void {
    const { domain, stream, sequence, subject, storedAtNanos } = place;
    const key = keyOf(place);
    removals.delete(key);
    const at = performance.now();
    removals.set(key, { domain, stream, sequence, subject, storedAtNanos, letters, at });
    const [oldest] = removals.keys();
    if (removals.size > MAX_REMOVALS && oldest !== undefined) removals.delete(oldest);
  }

  return {
    has: (letter) => removals.has(keyOf(letter)),
    add,
    settled: async () => looking ?? undefined,
    close: forget,
  };
}

function keyOf({ domain, stream, sequence, subject, storedAtNanos }: RemovedLetter): string {
  return `${domain ?? ""}/${stream}/${sequence}/${storedAtNanos}/${subject}`;
}

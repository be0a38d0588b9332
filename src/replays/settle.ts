// Settles a replayed letter in its stream: claim it before it is sent, remove it, or store it with its newest error.

import { repeatDelayMs } from "#delivery/backoff.ts";
import type { Failure } from "#delivery/outcome.ts";
import {
  headersAfterFailure,
  headersWithMark,
  type ReplayLetter,
  type WholeLetter,
} from "#delivery/replay-letter.ts";
import { sleep } from "#lib/sleep.ts";
import type { ReplayLetters } from "#letters/replay.ts";
import type { Claim } from "#pipeline/replay.ts";

interface FailedLetter {
  readonly letter: ReplayLetter;
  readonly failure: Failure;
  readonly attempts: number;
}

interface ClaimOptions {
  /** Writes a mark that only one relay can write. A relay that finds it cannot know whether the letter was sent. */
  readonly isMarking: boolean;
  /** False: another relay may hold the lease. */
  readonly isCurrent: () => boolean;
  readonly waiting: AbortSignal;
  /** Ends the marking. A mark that was cut short makes the letter look as if it was sent. */
  readonly ending: AbortSignal;
}

const BACKOFF = { initialMs: 250, maxMs: 5000 };

type Claimed =
  | Exclude<Claim, "claimed">
  | { readonly kind: "claimed"; readonly letter: ReplayLetter }
  /** The mark cannot be stored until something changes. */
  | { readonly kind: "unmarkable"; readonly reason: string };

/** Claims a letter. Returns it as stored after the claim, if it may be sent. Never rejects. */
export async function claimLetter(
  letters: ReplayLetters,
  letter: ReplayLetter,
  { isMarking, isCurrent, waiting, ending }: ClaimOptions,
): Promise<Claimed> {
  if (!isCurrent() || waiting.aborted) return "unavailable";
  const { stored } = letter;
  if (!isMarking) {
    const read = await letters.newest(stored.subject, waiting);
    if (read.kind === "unavailable" || !isCurrent()) return "unavailable";
    const isThere = read.kind === "found" && read.letter.sequence === stored.sequence;
    return isThere ? { kind: "claimed", letter } : "gone";
  }
  // If the mark may have been stored without an answer, the retry finds it: `gone`, and the letter is not sent.
  const marked = await letters.replace(stored, headersWithMark(letter, new Date()), ending);
  switch (marked.kind) {
    case "gone":
    case "unavailable":
      return marked.kind;
    case "full":
    case "too-large":
      return { kind: "unmarkable", reason: marked.reason };
    case "replaced":
      return { kind: "claimed", letter: { ...letter, stored: { ...stored, sequence: marked.sequence } } };
  }
}

/** null: no such letter, or `signal` aborted. Never rejects. */
export async function readLetter(
  letters: ReplayLetters,
  sequence: number,
  signal: AbortSignal,
): Promise<WholeLetter | null> {
  const read = await repeatUntilKnown(async () => {
    const answer = await letters.at(sequence, signal);
    return answer.kind === "unavailable" ? null : answer;
  }, signal);
  return read?.kind === "found" ? read.letter : null;
}

/** False: `signal` aborted before it was certain. Never rejects. */
export async function removeLetter(
  letters: ReplayLetters,
  sequence: number,
  signal: AbortSignal,
): Promise<boolean> {
  return (
    (await repeatUntilKnown(async () => ((await letters.remove(sequence, signal)) ? true : null), signal)) ??
    false
  );
}

/** Stores the letter with one more replay and its newest error, if that fits. False: `signal` aborted. Never rejects. */
export async function keepFailed(
  letters: ReplayLetters,
  { letter, ...how }: FailedLetter,
  signal: AbortSignal,
): Promise<boolean> {
  const forms = headersAfterFailure(letter, how);
  const replaced = await repeatUntilKnown(async () => {
    const { kind } = await letters.replace(letter.stored, forms, signal);
    return kind === "unavailable" ? null : kind;
  }, signal);
  return replaced !== null;
}

/** Repeats `ask` with a backoff until its result is not null. null: `signal` aborted first. */
export async function repeatUntilKnown<T>(
  ask: () => Promise<T | null>,
  signal: AbortSignal,
): Promise<T | null> {
  for (let tryNumber = 1; !signal.aborted; tryNumber += 1) {
    const result = await ask();
    if (result !== null) return result;
    await sleep(repeatDelayMs(tryNumber, { ...BACKOFF, random: Math.random() }), signal);
  }
  return null;
}

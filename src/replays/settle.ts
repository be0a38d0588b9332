// What a replay does to a letter in its stream: claims it before it is sent, removes it, or keeps it with its newest error.

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

export interface FailedLetter {
  readonly letter: ReplayLetter;
  readonly failure: Failure;
  readonly attempts: number;
}

interface ClaimOptions {
  /** Leaves a mark, which only one can leave: who finds it does not know whether the letter was sent. */
  readonly isMarking: boolean;
  /** False: another relay may be at it. */
  readonly isCurrent: () => boolean;
  readonly waiting: AbortSignal;
  /** Ends the marking: one that was cut short leaves a letter that looks as if it was sent. */
  readonly ending: AbortSignal;
}

const BACKOFF = { initialMs: 250, maxMs: 5000 };

type Claimed =
  | Exclude<Claim, "claimed">
  | { readonly kind: "claimed"; readonly letter: ReplayLetter }
  /** Nor will it be before something changes. */
  | { readonly kind: "unmarkable"; readonly reason: string };

/** The letter as it lies there then, if it may be sent. Never rejects. */
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
  // Where it is not known whether the mark was stored, the next try finds it: `gone`, and it is not sent.
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

/** Null: it is not there, or `signal` aborted. Never rejects. */
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

/** With one more replay; what cannot take the newest error stays as it is. False: `signal` aborted. Never rejects. */
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

/** Until it gives something else than null. Null: `signal` aborted. */
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

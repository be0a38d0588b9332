// Reads a stored dead letter for a replay: its subscription, its message, and its headers after another failure.

import { type Letter, type StoredLetter, toLetter } from "./letter.ts";
import type { Header, Message } from "./message.ts";
import { describeOutcome, type Failure, statusOf } from "./outcome.ts";

export interface WholeLetter extends StoredLetter {
  /** A relay of the cluster wrote it, as it is. */
  readonly isGenuine: boolean;
  readonly unreadableHeaders: number;
  readonly body: Uint8Array;
}

export interface ReplayLetter {
  readonly stored: WholeLetter;
  readonly letter: Letter;
  readonly message: Message;
  /** A replay under AT_MOST_ONCE has begun, and its end is not known. */
  readonly isMarked: boolean;
}

const MARK = "relay-replaying";
const SIGNATURE = "relay-signature";
const MAX_ERROR_LENGTH = 1024;
const NEWEST: ReadonlySet<string> = new Set([
  "relay-reason",
  "relay-status",
  "relay-error",
  "relay-attempts",
  "relay-replays",
  MARK,
]);

/**
 * Null: it is no letter of Relay's, or only looks so, and nobody asked for it by its id. A letter that was too large for any
 * header is told from its subject alone.
 */
export function toReplayLetter(
  stored: WholeLetter,
  endpoint: { name: string; subject: string },
  { takesForeign }: { takesForeign: boolean },
): ReplayLetter | null {
  const letter = toLetter(stored, endpoint);
  if (letter === null || !(stored.isGenuine || takesForeign)) return null;
  return {
    stored,
    letter,
    message: {
      stream: letter.stream,
      sequence: letter.sequence,
      subject: letter.subject ?? stored.subject,
      timestampNanos: letter.timestampNanos,
      deliveryCount: 1,
      headers: stored.headers.filter(([name]) => isOriginal(name)),
      unreadableHeaders: stored.unreadableHeaders,
      body: stored.body,
    },
    isMarked: stored.headers.some(([name]) => name.toLowerCase() === MARK),
  };
}

/** The forms to try, largest first; the count of replays is kept in each. */
export function headersAfterFailure(
  { stored, letter: { replays } }: ReplayLetter,
  { failure, attempts }: { failure: Failure; attempts: number },
): readonly (readonly Header[])[] {
  const count: Header = ["Relay-Replays", String(replays + 1)];
  const error: Header = ["Relay-Error", toHeaderText(describeOutcome(failure))];
  const newest: readonly Header[] = [
    ["Relay-Reason", failure.kind],
    ["Relay-Status", String(statusOf(failure))],
    ["Relay-Attempts", String(attempts)],
    count,
  ];
  const kept = stored.headers.filter(([name]) => isKept(name) && !NEWEST.has(name.toLowerCase()));
  const own = kept.filter(([name]) => !isOriginal(name));
  return [[...kept, error, ...newest], [...own, error, ...newest], [...own, ...newest], [count]];
}

/** Before the one request that AT_MOST_ONCE allows: whoever finds the mark does not know whether it was sent. */
export function headersWithMark(
  { stored, letter: { replays } }: ReplayLetter,
  now: Date,
): readonly (readonly Header[])[] {
  const mark: Header = ["Relay-Replaying", now.toISOString()];
  const kept = stored.headers.filter(([name]) => isKept(name) && name.toLowerCase() !== MARK);
  return [
    [...kept, mark],
    [["Relay-Replays", String(replays)], mark],
  ];
}

/** A copied `Nats-*` header would steer the server; a letter with other headers is signed anew. */
function isKept(name: string): boolean {
  const lower = name.toLowerCase();
  return !lower.startsWith("nats-") && lower !== SIGNATURE;
}

function isOriginal(name: string): boolean {
  const lower = name.toLowerCase();
  return isKept(name) && !lower.startsWith("relay-") && lower !== "webhook-id";
}

function toHeaderText(text: string): string {
  return text
    .slice(0, MAX_ERROR_LENGTH)
    .replace(/[\p{Cc}\p{Cs}\u2028\u2029]+/gu, " ")
    .trim();
}

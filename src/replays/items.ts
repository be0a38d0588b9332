// What a replay sends, one by one: dead letters, or messages of a stream. Each kind claims and settles its own.

import type { Message } from "#delivery/message.ts";
import type { Failure } from "#delivery/outcome.ts";
import type { Qos } from "#delivery/policy.ts";
import type { ReplayPlace, SkippedCounts } from "#delivery/replay.ts";
import type { Claim, LetterName } from "#pipeline/replay.ts";

export interface ReplayItem {
  /** Unique among all items that this relay replays. */
  readonly key: string;
  /** Id of the subscription to which it is sent. */
  readonly target: string;
  readonly message: Message;
  /** null: a message of the stream, which a failure does not change. */
  readonly letter: LetterName | null;
  /** Marks the item as done: a resumed replay skips it. */
  readonly pass: () => void;
  /** Called before each attempt. */
  readonly claim: (qos: Qos) => Promise<Claim>;
  /** Settles a delivered item. False: `ending` aborted before that was certain. */
  readonly delivered: () => Promise<boolean>;
  readonly failed: (how: { readonly failure: Failure; readonly attempts: number }) => Promise<boolean>;
}

export type NextItem =
  | { readonly kind: "send"; readonly item: ReplayItem }
  /** `reason` null: the replay's filter excludes it. */
  | { readonly kind: "skip"; readonly reason: keyof SkippedCounts | null; readonly pass: () => void };

export interface ReplayItems {
  readonly places: readonly ReplayPlace[];
  /** Await each call before the next one. null: nothing is left, or `signal` aborted. */
  readonly next: (signal: AbortSignal) => Promise<NextItem | null>;
  /** Cursors for the record: before the oldest item that is not done. */
  readonly cursors: () => readonly number[];
}

export function skip(reason: keyof SkippedCounts | null, pass: () => void): NextItem {
  return { kind: "skip", reason, pass };
}

// What a relay answered about dead letters and their replays, held against what is shown of it.

import type {
  DeadLetterCounts,
  DeadLetterDetail,
  DeadLetterPage,
  PurgeOutcomeView,
} from "#wire/dead-letter.ts";
import type { ReplayView, StartedReplayView } from "#wire/replay.ts";
import { expectLike, type Page, type Sample } from "./answers.ts";

const LETTER: Sample = { id: "", date: "", isForeign: true, replays: 0, endpoint: "", size: 0 };

const DETAIL = { headers: [[""]], payload: { encoding: "", content: "", isCut: true } };

const COUNTS: Sample = {
  at: "",
  letters: 0,
  foreign: 0,
  byReason: { rejected: 0, "server-error": 0, exception: 0, unknown: 0 },
  bySubscription: {},
  isComplete: true,
  faults: [""],
};

const REPLAY = {
  id: "",
  state: "",
  isScheduled: true,
  dryRun: true,
  startedAt: "",
  delivered: 0,
  failed: 0,
  matching: 0,
  skipped: { foreign: 0, exhausted: 0, needsForce: 0, noSubscription: 0, gone: 0 },
};

/** Each throws a RelayError where the answer is another one. */
export function toLetterPage(value: unknown): DeadLetterPage {
  expectLike(value, { items: [LETTER], next: null, continuesAt: null, faults: [""] });
  return value as DeadLetterPage;
}

export function toLetterDetail(value: unknown): DeadLetterDetail {
  expectLike(value, LETTER);
  expectLike(value, DETAIL);
  return value as DeadLetterDetail;
}

export function toLetterCounts(value: unknown): DeadLetterCounts {
  expectLike(value, COUNTS);
  return value as DeadLetterCounts;
}

export function toPurgeOutcome(value: unknown): PurgeOutcomeView {
  expectLike(value, { matched: 0, purged: 0, start: "", next: null });
  return value as PurgeOutcomeView;
}

export function toReplay(value: unknown): ReplayView {
  expectLike(value, REPLAY);
  return value as ReplayView;
}

export function toStartedReplay(value: unknown): StartedReplayView {
  expectLike(value, { ...REPLAY, warnings: [""] });
  return value as StartedReplayView;
}

export function toReplayPage(value: unknown): Page<ReplayView> {
  expectLike(value, { items: [REPLAY], next: null });
  return value as Page<ReplayView>;
}

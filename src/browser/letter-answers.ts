// What the page reads of dead letters and their replays; all of it is in `/openapi.json`.

import type { Page } from "./api.ts";
import type { Headers } from "./answers.ts";

export interface DeadLetter {
  readonly id: string;
  readonly date: string;
  readonly isForeign: boolean;
  readonly subscription: string | null;
  readonly entrypoint: string | null;
  readonly application: string | null;
  readonly reason: string | null;
  readonly status: number | null;
  readonly error: string | null;
  readonly attempts: number | null;
  readonly replays: number;
  readonly stream: string | null;
  readonly sequence: number | null;
  readonly subject: string | null;
  readonly endpoint: string;
  readonly size: number;
}

export interface DeadLetterPage extends Page<DeadLetter> {
  readonly continuesAt: string | null;
  readonly faults: readonly string[];
}

export interface DeadLetterDetail extends DeadLetter {
  readonly headers: Headers;
  readonly payload: { readonly content: string; readonly isCut: boolean };
}

export interface PurgeOutcome {
  readonly matched: number;
  readonly purged: number;
  readonly start: string;
  readonly next: string | null;
}

export interface Replay {
  readonly id: string;
  readonly state: "running" | "paused" | "stopped" | "done" | "failed";
  readonly reason: string | null;
  readonly isScheduled: boolean;
  readonly subscription: string | null;
  readonly ids: number | null;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly delivered: number;
  readonly failed: number;
  readonly skipped: Readonly<Record<string, number>>;
}

export interface StartedReplay extends Replay {
  readonly warnings: readonly string[];
}

/** Which letters are meant: named ones, or those that meet a filter. */
export type Selection =
  | { readonly ids: readonly string[] }
  | { readonly filter: Readonly<Record<string, string>> };

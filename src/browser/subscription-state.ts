// PURE. Says how a subscription is: the colour of its state, and how much it is in trouble.

import type { ActivityView } from "#wire/status.ts";
import type { SubscriptionView } from "#wire/subscription.ts";
import type { Tone } from "./badge.ts";
import { sum } from "./chart.ts";
import { formatNextTry, formatSome, formatSpan } from "./format.ts";

export type RecentActivity = Pick<ActivityView, "perSecond" | "delivered" | "failed">;

export interface Trouble {
  /** The higher, the sooner somebody should look. */
  readonly rank: number;
  /** What is wrong; null: nothing. */
  readonly text: string | null;
  readonly tone: Tone;
}

export const IDLE: RecentActivity = {
  perSecond: 0,
  delivered: Array<number>(60).fill(0),
  failed: Array<number>(60).fill(0),
};
const RECENT_MINUTES = 5;

export const TONES: Readonly<Record<SubscriptionView["state"], Tone>> = {
  running: "good",
  waiting: "warn",
  failed: "bad",
  paused: "calm",
  stopped: "calm",
  scheduled: "calm",
  closed: "calm",
};

/** Messages that are not done with; null: not known. */
export function lagOf({ pending, ackPending }: SubscriptionView): number | null {
  return pending === null ? null : pending + (ackPending ?? 0);
}

export function recentOf({ delivered, failed }: RecentActivity): {
  readonly delivered: number;
  readonly all: number;
} {
  const recent = sum(delivered.slice(-RECENT_MINUTES));
  return { delivered: recent, all: recent + sum(failed.slice(-RECENT_MINUTES)) };
}

export function troubleOf(subscription: SubscriptionView, now: Date): Trouble {
  const { trouble, failureCause, failedAt, state, retrying, reason, parkedKeys } = subscription;
  const next = nextTryOf(subscription, now);
  const parked = parkedKeys === 0 ? "" : `${formatSome(parkedKeys, "key")} parked`;
  if (trouble !== null) {
    const { kind, text } = trouble;
    const since =
      kind === "failure" && failedAt !== null
        ? `${formatSpan(now.getTime() - Date.parse(failedAt))} ago: `
        : "";
    const more = [parked, next].filter((part) => part !== "").map((part) => `; ${part}`);
    return {
      rank: RANKS[kind],
      text: `${since}${text}${more.join("")}`,
      tone: kind === "waiting" || kind === "lag" ? "warn" : "bad",
    };
  }
  // One that was paused after it had failed is not to be forgotten.
  if (failureCause !== null) return { rank: 1, text: failureCause, tone: "warn" };
  if (parkedKeys > 0) return { rank: 3, text: parked, tone: "warn" };
  if (state === "waiting" && reason !== null)
    return {
      rank: 2,
      text: `${WAITS[reason.split(":")[0] ?? ""] ?? reason}${next === "" ? "" : `; ${next}`}`,
      tone: "calm",
    };
  if (retrying > 0) {
    const text = `${formatSome(retrying, "message")} to be retried${next === "" ? "" : `; ${next}`}`;
    return { rank: 2, text, tone: "warn" };
  }
  const isIdle = state === "paused" || state === "stopped";
  return { rank: state === "closed" ? -1 : isIdle ? 1 : 0, text: null, tone: "calm" };
}

/** `next try in 40 s`; empty: it waits for nothing of that kind. */
function nextTryOf({ nextTryAt }: SubscriptionView, now: Date): string {
  return nextTryAt === null ? "" : `next try ${formatNextTry(nextTryAt, now)}`;
}

/** What the API calls it, for people. */
const WAITS: Readonly<Record<string, string>> = {
  "Retry-After": "The callback asked for a pause",
  rateLimit: "The rate limit is used up",
};

const RANKS = { failure: 6, waiting: 5, "success-rate": 4, lag: 3 } as const;

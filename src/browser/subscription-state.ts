// PURE. Says how a subscription is: the colour of its state, and how much it is in trouble.

import type { ActivityView } from "#wire/status.ts";
import type { SubscriptionView } from "#wire/subscription.ts";
import type { Tone } from "./badge.ts";
import { sum } from "./chart.ts";
import { formatSome, formatSpan } from "./format.ts";

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
  const { trouble, failureCause, failedAt, state, retrying } = subscription;
  if (trouble !== null) {
    const { kind, text } = trouble;
    const since =
      kind === "failure" && failedAt !== null
        ? `${formatSpan(now.getTime() - Date.parse(failedAt))} ago: `
        : "";
    return {
      rank: RANKS[kind],
      text: `${since}${text}`,
      tone: kind === "waiting" || kind === "lag" ? "warn" : "bad",
    };
  }
  // One that was paused after it had failed is not to be forgotten.
  if (failureCause !== null) return { rank: 1, text: failureCause, tone: "warn" };
  if (retrying > 0)
    return { rank: 2, text: `${formatSome(retrying, "message")} to be retried`, tone: "warn" };
  const isIdle = state === "paused" || state === "stopped";
  return { rank: state === "closed" ? -1 : isIdle ? 1 : 0, text: null, tone: "calm" };
}

const RANKS = { failure: 6, waiting: 5, "success-rate": 4, lag: 3 } as const;

// Why a subscription is idle (paused, stopped, not started yet, failed), for how long, and when a failed one probes again.

import { retryDelayMs } from "#delivery/backoff.ts";
import type { FailureCause, SubscriptionStatus } from "#delivery/status.ts";
import type { Resume } from "#delivery/subscription.ts";
import { sleep, sleepUntil } from "#lib/sleep.ts";
import type { SubscriptionState } from "./running.ts";
import type { StatusCell } from "./states.ts";

interface Idleness {
  readonly state: Extract<SubscriptionState, { kind: "paused" | "stopped" | "scheduled" | "failed" }>;
  /** Null: until somebody changes its status. */
  readonly until: Date | null;
}

/** The longest timer. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** Null: it may consume. An operator's command counts before the start time, and that before a failure. */
export function findIdleReason(
  { status, consumerStatus, failure }: SubscriptionStatus,
  {
    isApplicationPaused,
    startingAt,
    now,
  }: { isApplicationPaused: boolean; startingAt: Date | null; now: Date },
): Idleness | null {
  if (status === "PAUSED") {
    const reason = isApplicationPaused ? "Its application is paused" : "Paused";
    return { state: { kind: "paused", reason }, until: null };
  }
  if (consumerStatus === "STOPPED") {
    return { state: { kind: "stopped", reason: failure?.text ?? "Stopped by its consumer" }, until: null };
  }
  if (startingAt !== null && startingAt > now) {
    return {
      state: { kind: "scheduled", reason: `Starts at ${startingAt.toISOString()}` },
      until: startingAt,
    };
  }
  return consumerStatus === "FAILURE" ? { state: { kind: "failed", cause: failure }, until: null } : null;
}

/** Resolves when the idle time is over, or when `signal` aborts. */
export async function untilIdleEnd({ until }: Idleness, signal: AbortSignal): Promise<void> {
  if (until === null) await sleep(MAX_TIMER_MS, signal);
  else await sleepUntil(until, signal);
}

/** Calls `listener` each time the subscription stops being idle. Returns the unsubscribe. */
export function onIdleEnd(
  status: Pick<StatusCell, "onChange">,
  isIdle: () => boolean,
  listener: () => void,
): () => void {
  let isIdleNow = isIdle();
  return status.onChange(() => {
    const wasIdle = isIdleNow;
    isIdleNow = isIdle();
    if (wasIdle && !isIdleNow) listener();
  });
}

interface Waits {
  /** Of the next probe. */
  readonly probeAt: Date | null;
  /** How long nothing may start, for a pause that the callback asked for, or the rate limit. */
  readonly waitMs: number;
  /** On the clock of `performance.now`. */
  readonly nextRetryAt: number | null;
}

/** When a subscription sends something again: its probe, its first retry, or the end of a pause. Null: it waits for nothing of these. */
export function findNextTry(state: SubscriptionState, { probeAt, waitMs, nextRetryAt }: Waits): Date | null {
  const now = Date.now();
  const pauseEnd = waitMs > 0 ? now + waitMs : null;
  if (state.kind === "failed")
    return probeAt === null ? null : new Date(Math.max(probeAt.getTime(), pauseEnd ?? 0));
  if (state.kind === "waiting") return state.isFault || pauseEnd === null ? null : new Date(pauseEnd);
  if (state.kind !== "running" || nextRetryAt === null) return null;
  return new Date(now + Math.max(0, nextRetryAt - performance.now(), waitMs));
}

/** How long a failed subscription waits before its next probe: longer after each failure. */
interface ProbePace {
  /** True: probe now. False: `signal` aborted. Each new failure, of any relay, lengthens the wait once. */
  wait: (cause: FailureCause | null, options: { resume: Resume; signal: AbortSignal }) => Promise<boolean>;
  /** Back to the shortest wait: the probe was delivered, or an operator resumed. */
  reset: () => void;
  /** When the present wait ends; null: nothing waits, or until somebody resumes. */
  readonly dueAt: Date | null;
}

export function createProbePace(): ProbePace {
  let failures = 0;
  let counted: number | null = null;
  let dueAt: Date | null = null;

  return {
    async wait(cause, { resume, signal }) {
      const at = cause?.at.getTime() ?? null;
      if (failures === 0 || at !== counted) failures += 1;
      counted = at;
      if (resume.kind === "manual") {
        await sleep(MAX_TIMER_MS, signal);
        return false;
      }
      const retry = { ...resume, kind: "exponential", maxAttempts: Infinity } as const;
      const delayMs = retryDelayMs(retry, failures, Math.random());
      dueAt = new Date(Date.now() + delayMs);
      const isDue = await sleep(delayMs, signal);
      dueAt = null;
      return isDue;
    },
    reset: () => (failures = 0),
    get dueAt() {
      return dueAt;
    },
  };
}

// What keeps a subscription from consuming, and when that ends.

import type { SubscriptionStatus } from "#delivery/status.ts";
import { sleep, sleepUntil } from "#lib/sleep.ts";
import type { SubscriptionState } from "./running.ts";
import type { StatusCell } from "./states.ts";

interface Rest {
  readonly state: Extract<SubscriptionState, { kind: "asleep" | "failed" }>;
  /** Null: until somebody says otherwise. */
  readonly until: Date | null;
}

/** The longest that a timer can wait at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Null: it may consume. What somebody wants comes before what time it is, and that before what went wrong. */
export function restOf(
  { status, consumerStatus, failure }: SubscriptionStatus,
  {
    isApplicationPaused,
    startingAt,
    now,
  }: { isApplicationPaused: boolean; startingAt: Date | null; now: Date },
): Rest | null {
  if (status === "PAUSED") {
    const reason = isApplicationPaused ? "Its application is paused" : "Paused";
    return { state: { kind: "asleep", reason }, until: null };
  }
  if (consumerStatus === "STOPPED") {
    return { state: { kind: "asleep", reason: "Stopped by its consumer" }, until: null };
  }
  if (startingAt !== null && startingAt > now) {
    return { state: { kind: "asleep", reason: `Starts at ${startingAt.toISOString()}` }, until: startingAt };
  }
  return consumerStatus === "FAILURE" ? { state: { kind: "failed", cause: failure }, until: null } : null;
}

/** Resolves when it is over by itself, or when `signal` aborts. */
export async function restEnd({ until }: Rest, signal: AbortSignal): Promise<void> {
  if (until === null) await sleep(MAX_TIMER_MS, signal);
  else await sleepUntil(until, signal);
}

/** Tells when it rests no more. Returns how to end that. */
export function onTakenUp(
  status: Pick<StatusCell, "onChange">,
  isResting: () => boolean,
  listener: () => void,
): () => void {
  let wasResting = isResting();
  return status.onChange(() => {
    const hasRested = wasResting;
    wasResting = isResting();
    if (hasRested && !wasResting) listener();
  });
}

// Converts a subscription and its state to the view of the API.

import type { SubscriptionStatus } from "#delivery/status.ts";
import { durableName, type Subscription } from "#delivery/subscription.ts";
import type { SeatHolder } from "#runtime/seats.ts";
import type { SubscriptionView } from "#wire/subscription.ts";
import type { Registered } from "#registry/registry.ts";
import type { SubscriptionState } from "#runtime/running.ts";
import type { Attempts } from "./activity.ts";

export interface SubscriptionLag {
  readonly pending: number;
  readonly ackPending: number;
  readonly growth: number | null;
}

/** How long a low success rate counts as trouble. */
export const RECENT_MINUTES = 5;
const MIN_SUCCESS = 0.9;
/** Less may be a burst. */
const MIN_GROWTH = 100;

interface Measured {
  /** Null: not known. */
  readonly lag: SubscriptionLag | null;
  /** Of the last minutes. */
  readonly attempts: Attempts;
  readonly nowMs: number;
}

export function toSubscriptionView(
  { subscription, running, origin, revision }: Registered,
  { lag, attempts, nowMs }: Measured,
): SubscriptionView {
  const state = running.state();
  const status = running.status();
  const stats = running.stats();
  const pace = running.pace();
  return {
    ...describe(subscription),
    origin,
    revision,
    status: state.kind === "closed" ? "CLOSED" : status.status,
    consumerStatus: status.consumerStatus,
    ...describeFailure(status),
    state: state.kind,
    reason: "reason" in state ? state.reason : null,
    trouble: findTrouble(state, { cause: status.failure?.text ?? null, lag, attempts }),
    notStored: running.notStored(),
    active: toActive(running.active()),
    oneByOne: running.oneByOne(),
    held: stats.held,
    inFlight: stats.inFlight,
    maxInFlight: pace.places,
    maxPerSecond: pace.perSecond === null ? null : Number(pace.perSecond.toPrecision(3)),
    retrying: stats.retrying,
    nextTryAt: running.nextTryAt()?.toISOString() ?? null,
    parkedKeys: stats.parkedKeys,
    parkedMessages: stats.parkedMessages,
    oldestHeldSeconds:
      stats.oldestHeldAt === null ? 0 : Math.max(0, Math.round(nowMs - stats.oldestHeldAt) / 1000),
    pending: lag?.pending ?? null,
    ackPending: lag?.ackPending ?? null,
  };
}

function describe({ id, application, entrypoint, qos, callback, source, ...times }: Subscription) {
  return {
    id,
    application,
    entrypoint,
    qos,
    callbackUrl: callback.displayUrl,
    startingAt: times.startingAt?.toISOString() ?? null,
    endingAt: times.endingAt?.toISOString() ?? null,
    source: {
      domain: source.domain,
      stream: source.stream,
      consumer: durableName(id),
      subjects: source.filterSubjects,
    },
  };
}

/** Why somebody should look at it; null: there is no reason. */
export function findTrouble(
  state: SubscriptionState,
  {
    cause,
    lag,
    attempts: { delivered, failed },
  }: Omit<Measured, "nowMs"> & { readonly cause: string | null },
): SubscriptionView["trouble"] {
  if (state.kind === "failed") return { kind: "failure", text: cause ?? "A delivery interrupted it" };
  if (state.kind === "waiting" && state.isFault) return { kind: "waiting", text: state.reason };
  if (state.kind !== "running" && state.kind !== "waiting") return null;
  const all = delivered + failed;
  if (delivered < all * MIN_SUCCESS) {
    const text = `${toNumber(failed)} of ${toNumber(all)} attempts of the last ${RECENT_MINUTES} minutes failed`;
    return { kind: "success-rate", text };
  }
  const growth = lag?.growth ?? 0;
  if (growth < MIN_GROWTH) return null;
  return { kind: "lag", text: `${toNumber(growth)} more messages wait than ${RECENT_MINUTES} minutes ago` };
}

function toNumber(count: number): string {
  return count.toLocaleString("en");
}

function toActive(holder: SeatHolder | null): SubscriptionView["active"] {
  return holder === null ? null : { host: holder.host, since: holder.since.toISOString() };
}

function describeFailure({ failure }: SubscriptionStatus) {
  return {
    failureCause: failure === null ? null : failure.text,
    failedAt: failure === null ? null : failure.at.toISOString(),
  };
}

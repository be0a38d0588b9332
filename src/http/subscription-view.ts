// A subscription as the API shows it.

import type { SubscriptionStatus } from "#delivery/status.ts";
import { durableName, type Subscription } from "#delivery/subscription.ts";
import type { SubscriptionState } from "#runtime/running.ts";
import type { Registered } from "./registry.ts";

export interface SubscriptionView {
  readonly id: string;
  /** `file`: read-only here. */
  readonly origin: "file" | "api";
  readonly revision: number | null;
  readonly application: string | null;
  readonly entrypoint: string;
  readonly qos: string;
  readonly callbackUrl: string;
  readonly status: "ACCEPTED" | "PAUSED" | "CLOSED";
  readonly consumerStatus: "STARTED" | "STOPPED" | "FAILURE";
  readonly failureCause: string | null;
  readonly failedAt: string | null;
  /** What this relay does for it just now, and why it waits. */
  readonly state: SubscriptionState["kind"];
  readonly reason: string | null;
  readonly startingAt: string | null;
  readonly endingAt: string | null;
  readonly source: {
    readonly domain: string | null;
    readonly stream: string;
    readonly consumer: string;
    /** Empty: all of the stream. */
    readonly subjects: readonly string[];
  };
  readonly held: number;
  readonly inFlight: number;
  readonly retrying: number;
  /** Of the message that is held the longest; 0: none is. */
  readonly oldestHeldSeconds: number;
  /** Not delivered yet, and delivered but not settled; null: not known yet. */
  readonly pending: number | null;
  readonly ackPending: number | null;
}

export interface Lag {
  readonly pending: number;
  readonly ackPending: number;
}

export function toSubscriptionView(
  { running, origin, revision }: Registered,
  { lag, mask, nowMs }: { lag: Lag | null; mask: (text: string) => string; nowMs: number },
): SubscriptionView {
  const { subscription } = running;
  const state = running.state();
  const status = running.status();
  const stats = running.stats();
  return {
    ...describe(subscription),
    origin,
    revision,
    status: state.kind === "closed" ? "CLOSED" : status.status,
    consumerStatus: status.consumerStatus,
    ...describeFailure(status, mask),
    state: state.kind,
    reason: state.kind === "asleep" || state.kind === "waiting" ? mask(state.reason) : null,
    held: stats.held,
    inFlight: stats.inFlight,
    retrying: stats.retrying,
    oldestHeldSeconds: stats.oldestHeldAt === null ? 0 : Math.round(nowMs - stats.oldestHeldAt) / 1000,
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

function describeFailure({ failure }: SubscriptionStatus, mask: (text: string) => string) {
  return {
    failureCause: failure === null ? null : mask(failure.text),
    failedAt: failure === null ? null : failure.at.toISOString(),
  };
}

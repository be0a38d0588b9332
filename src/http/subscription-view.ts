// Converts a subscription and its state to the view of the API.

import type { SubscriptionStatus } from "#delivery/status.ts";
import { durableName, type Subscription } from "#delivery/subscription.ts";
import type { SubscriptionView } from "#wire/subscription.ts";
import type { Registered } from "#registry/registry.ts";

export interface SubscriptionLag {
  readonly pending: number;
  readonly ackPending: number;
}

export function toSubscriptionView(
  { subscription, running, origin, revision }: Registered,
  { lag, nowMs }: { lag: SubscriptionLag | null; nowMs: number },
): SubscriptionView {
  const state = running.state();
  const status = running.status();
  const stats = running.stats();
  return {
    ...describe(subscription),
    origin,
    revision,
    status: state.kind === "closed" ? "CLOSED" : status.status,
    consumerStatus: status.consumerStatus,
    ...describeFailure(status),
    state: state.kind,
    reason: "reason" in state ? state.reason : null,
    notStored: running.notStored(),
    held: stats.held,
    inFlight: stats.inFlight,
    retrying: stats.retrying,
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

function describeFailure({ failure }: SubscriptionStatus) {
  return {
    failureCause: failure === null ? null : failure.text,
    failedAt: failure === null ? null : failure.at.toISOString(),
  };
}

// A subscription as the API shows it.

import * as v from "valibot";
import type { SubscriptionStatus } from "#delivery/status.ts";
import { durableName, type Subscription } from "#delivery/subscription.ts";
import type { Registered } from "./registry.ts";
import { count, countOrNull, dateOrNull, text, textOrNull, texts, type View, word } from "./view.ts";

export const subscriptionViewSchema = v.strictObject({
  id: text("Of the subscription"),
  origin: word("`file`: read-only here", ["file", "api"]),
  revision: countOrNull("Of its definition; null: it stands in the file"),
  application: textOrNull("Whose subscription it is"),
  entrypoint: text("Id of its entrypoint"),
  qos: word("Quality of service", ["NONE", "AUTO", "AT_MOST_ONCE", "AT_LEAST_ONCE"]),
  callbackUrl: text("As it may be shown"),
  status: word("What its operator wants; `CLOSED`: its time is over", ["ACCEPTED", "PAUSED", "CLOSED"]),
  consumerStatus: word("What its consumer wants; `FAILURE`: it was interrupted", [
    "STARTED",
    "STOPPED",
    "FAILURE",
  ]),
  failureCause: textOrNull("Why it was interrupted"),
  failedAt: dateOrNull("When it was interrupted"),
  state: word("What this relay does for it just now", [
    "asleep",
    "waiting",
    "consuming",
    "failed",
    "closed",
    "stopped",
  ]),
  reason: textOrNull("Why it waits, or is asleep"),
  notStored: textOrNull(
    "Why a command that this relay was given is not stored yet: it counts here, and is stored as soon as it can be; null: all are stored",
  ),
  startingAt: dateOrNull("It runs from this time on"),
  endingAt: dateOrNull("It runs until this time"),
  source: v.strictObject({
    domain: textOrNull("JetStream domain of the stream"),
    stream: text("The stream"),
    consumer: text("Its durable"),
    subjects: texts("Filters; empty: all of the stream"),
  }),
  held: count("Messages that this relay has of it"),
  inFlight: count("Requests under way"),
  retrying: count("Messages that wait for their retry"),
  oldestHeldSeconds: v.pipe(
    v.number(),
    v.minValue(0),
    v.description("Age of what is held the longest; 0: nothing is"),
  ),
  pending: countOrNull("Not delivered yet; null: not known"),
  ackPending: countOrNull("Delivered, but not settled; null: not known"),
});

export type SubscriptionView = View<typeof subscriptionViewSchema>;

/** What is shown besides of a single one: `definition`, as it is written, without secrets. */
export function detailSchema<const Definition extends v.GenericSchema>(definition: Definition) {
  return v.strictObject({ ...subscriptionViewSchema.entries, definition });
}

export interface Lag {
  readonly pending: number;
  readonly ackPending: number;
}

export function toSubscriptionView(
  { subscription, running, origin, revision }: Registered,
  { lag, nowMs }: { lag: Lag | null; nowMs: number },
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
    reason: state.kind === "asleep" || state.kind === "waiting" ? state.reason : null,
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

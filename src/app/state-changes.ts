// Reports changes of a subscription's state: a log line, and a CloudEvent on NATS.

import type { FailureCause } from "#delivery/status.ts";
import type { Logger } from "#lib/logger.ts";
import type { ChangeReason, StateChange } from "#runtime/states.ts";
import { toEventText } from "./event.ts";

interface StateChangesOptions {
  readonly logger: Logger;
  /** `host.name`: the source of the events. */
  readonly host: string;
  /** Publishes without retry. */
  readonly publish: (subject: string, payload: string) => void;
}

const SUBJECT_PREFIX = "relay.events.subscription.";

const LOG_TEXTS: Readonly<Record<Exclude<ChangeReason, "configuration">, string>> = {
  pause: "Subscription paused",
  resume: "Subscription resumed",
  stop: "Subscription stopped by its consumer",
  start: "Subscription started by its consumer",
  failure: "Subscription interrupted",
  recovery: "Subscription resumed",
  restart: "Subscription resumed",
  end: "Subscription closed",
  deletion: "Subscription deleted",
};

/** For `onChanged` of the states: called once in the cluster for each change. */
export function createStateChanges(options: StateChangesOptions): (change: StateChange) => void {
  const { logger, publish } = options;
  return (change) => {
    const { subscription, to, reason } = change;
    const text = textOf(change);
    if (reason === "failure") logger.error(text, { subscription, cause: causeOf(to.failure) });
    else logger.info(text, { subscription, by: reason });
    publish(SUBJECT_PREFIX + subscription, toEvent(change, options));
  };
}

function textOf({ reason, to }: StateChange): string {
  if (reason !== "configuration") return LOG_TEXTS[reason];
  return LOG_TEXTS[to.status === "PAUSED" ? "pause" : "resume"];
}

function toEvent({ subscription, to, reason }: StateChange, { host }: StateChangesOptions): string {
  return toEventText({
    host,
    type: "relay.subscription.changed",
    subject: subscription,
    time: new Date().toISOString(),
    data: {
      host,
      subscription,
      reason,
      status: reason === "end" || reason === "deletion" ? "CLOSED" : to.status,
      consumerStatus: to.consumerStatus,
      failureCause: to.failure === null ? null : to.failure.text,
    },
  });
}

function causeOf(failure: FailureCause | null): string {
  return failure?.text ?? "Unknown";
}

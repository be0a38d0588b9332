// What the process log says of messages: one line each at debug level, and louder where something went missing.

import type { OnDenied } from "#callback/connector.ts";
import { describeOutcome, statusOf } from "#delivery/outcome.ts";
import type { Logger } from "#lib/logger.ts";
import type { Observer, Settled } from "#pipeline/observer.ts";

export function createLogObserver(logger: Logger): Observer {
  return {
    attempted({ subscription, message, attempt, exchange, action }) {
      if (!logger.isEnabled("debug")) return;
      const { outcome, durationMs } = exchange;
      logger.debug("Attempt", {
        subscription: subscription.id,
        stream: message.stream,
        sequence: message.sequence,
        attempt,
        status: statusOf(outcome),
        ...(outcome.kind === "exception" ? { error: outcome.error } : {}),
        durationMs: Math.round(durationMs * 10) / 10,
        action: action.kind,
      });
    },
    settled(report) {
      const { ending } = report;
      switch (ending.kind) {
        case "lost":
        case "dropped": {
          const text = ending.kind === "lost" ? "Message lost" : "Message dropped";
          logger[ending.kind === "lost" ? "error" : "warn"](text, {
            ...fieldsOf(report),
            reason: describeOutcome(ending.failure),
          });
          break;
        }
        case "dead-lettered":
        case "failed-again":
          logger.info(
            ending.kind === "dead-lettered" ? "Message dead-lettered" : "Dead letter failed again",
            {
              ...fieldsOf(report),
              reason: describeOutcome(ending.failure),
              endpoint: ending.endpoint,
            },
          );
          break;
        case "skipped":
          logger.warn("Message skipped", fieldsOf(report));
          break;
        case "delivered":
        case "marker":
        case "suppressed":
        case "returned":
          // Of every message: nothing is made that is not logged.
          if (logger.isEnabled("debug")) {
            logger.debug("Message settled", { ...fieldsOf(report), ending: ending.kind });
          }
      }
    },
  };
}

/** Which address a name had that may not be called: what others are shown does not say it. Once, until it is another. */
export function createDenialLog(logger: Logger): OnDenied {
  let last = "";
  return ({ host, address }) => {
    if (last === `${host} ${address}`) return;
    last = `${host} ${address}`;
    logger.warn("Address denied", { host, address });
  };
}

function fieldsOf({ subscription, message, attempts }: Settled): Record<string, unknown> {
  return { subscription: subscription.id, stream: message.stream, sequence: message.sequence, attempts };
}

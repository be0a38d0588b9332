// What the process log says of messages: one line each at debug level, and louder where something went missing.

import { describeOutcome, statusOf } from "#delivery/outcome.ts";
import type { Logger } from "#lib/logger.ts";
import type { Ending, Observer } from "#pipeline/observer.ts";

/** Nothing went missing. */
const QUIET: ReadonlySet<Ending["kind"]> = new Set(["delivered", "suppressed", "returned"]);

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
    settled({ subscription, message, attempts, ending }) {
      if (QUIET.has(ending.kind) && !logger.isEnabled("debug")) return;
      const fields = {
        subscription: subscription.id,
        stream: message.stream,
        sequence: message.sequence,
        attempts,
      };
      switch (ending.kind) {
        case "lost":
        case "dropped": {
          const text = ending.kind === "lost" ? "Message lost" : "Message dropped";
          logger[ending.kind === "lost" ? "error" : "warn"](text, {
            ...fields,
            reason: describeOutcome(ending.failure),
          });
          break;
        }
        case "dead-lettered":
        case "failed-again":
          logger.info(
            ending.kind === "dead-lettered" ? "Message dead-lettered" : "Dead letter failed again",
            {
              ...fields,
              reason: describeOutcome(ending.failure),
              endpoint: ending.endpoint,
            },
          );
          break;
        case "skipped":
          logger.warn("Message skipped", fields);
          break;
        case "delivered":
        case "suppressed":
        case "returned":
          logger.debug("Message settled", { ...fields, ending: ending.kind });
      }
    },
  };
}

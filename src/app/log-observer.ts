// Logs what happens to messages: one debug line each, and louder for lost, dropped, dead-lettered and skipped ones.

import type { OnDenied } from "#callback/connector.ts";
import { describeOutcome, statusOf } from "#delivery/outcome.ts";
import { durableName } from "#delivery/subscription.ts";
import type { Logger, LogFields } from "#lib/logger.ts";
import type { Observer, Settled } from "#pipeline/observer.ts";

/** Between two lines about postponed attempts. */
const POSTPONED_INTERVAL_MS = 60_000;

export function createLogObserver(logger: Logger, { now = () => performance.now() } = {}): Observer {
  let postponedLoggedAt = Number.NEGATIVE_INFINITY;
  let postponed = 0;
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
        ...("error" in outcome ? { error: outcome.error } : {}),
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
          logger.info("Message dead-lettered", {
            ...fieldsOf(report),
            reason: describeOutcome(ending.failure),
            endpoint: ending.endpoint,
          });
          break;
        case "failed-again":
          logger.info(ending.letter === null ? "Resent message failed" : "Dead letter failed again", {
            ...fieldsOf(report),
            reason: describeOutcome(ending.failure),
            ...(ending.letter === null ? {} : { endpoint: ending.letter.endpoint }),
          });
          break;
        case "expired":
          if (!logger.isEnabled("debug")) break;
          logger.debug("Message expired", { ...fieldsOf(report), reason: describeOutcome(ending.failure) });
          break;
        case "skipped":
          logger.warn("Message skipped", fieldsOf(report));
          break;
        case "delivered":
        case "marker":
        case "suppressed":
        case "filtered":
        case "returned":
          // Runs for every message: build nothing that is not logged.
          if (logger.isEnabled("debug")) {
            logger.debug("Message settled", { ...fieldsOf(report), ending: ending.kind });
          }
      }
    },
    postponed({ subscription, exception }) {
      postponed += 1;
      if (now() - postponedLoggedAt < POSTPONED_INTERVAL_MS) return;
      postponedLoggedAt = now();
      logger.error("Out of file descriptors: messages wait", {
        subscription: subscription.id,
        reason: exception.error,
        attempts: postponed,
      });
      postponed = 0;
    },
  };
}

/** Logs which denied address a name resolved to, which callers are not told. Once, until the address changes. */
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

/** The message of a subscription that cannot run yet. */
const WAITS = "Subscription waits";
const INTERVAL_MS = 60_000;
const MAX_REASONS = 1000;

/** Passes on to a logger for each subscription. */
export type WaitsLog = (subscription: string, own: Logger) => Logger;

/** Logs the first subscription that waits for a reason, and a minute later how many others do. */
export function createWaitsLog(logger: Logger, { intervalMs = INTERVAL_MS } = {}): WaitsLog {
  const others = new Map<string, number>();

  function sum(reason: string): void {
    const subscriptions = others.get(reason) ?? 0;
    others.delete(reason);
    if (subscriptions > 0) logger.warn("More subscriptions wait", { subscriptions, reason });
  }

  return (subscription, own) => ({
    ...own,
    warn(message, fields: LogFields = {}) {
      if (message !== WAITS) return own.warn(message, fields);
      const reason = String(fields["reason"]).replaceAll(durableName(subscription), durableName("…"));
      const known = others.get(reason);
      if (known !== undefined) return void others.set(reason, known + 1);
      own.warn(message, fields);
      if (others.size >= MAX_REASONS) return;
      others.set(reason, 0);
      setTimeout(sum, intervalMs, reason).unref();
    },
  });
}

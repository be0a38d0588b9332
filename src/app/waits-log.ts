// Subscriptions that wait for one reason, such as a stream that takes no more consumers, are logged once, not one by one.

import { durableName } from "#delivery/subscription.ts";
import type { LogFields, Logger } from "#lib/logger.ts";

/** What a subscription logs when it cannot run yet. */
const WAITS = "Subscription waits";
const INTERVAL_MS = 60_000;
const MAX_REASONS = 1000;

/** What goes on; for each subscription a logger of its own. */
export type WaitsLog = (subscription: string, own: Logger) => Logger;

/** The first that waits for a reason is logged by itself, and after a minute how many others there were. */
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

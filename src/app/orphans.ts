// Consumers that a relay made, that no subscription has and nobody pulls from, as the API shows them.

import { durableName } from "#delivery/subscription.ts";
import type { Orphan } from "#http/orphans.ts";
import type { Core } from "./core.ts";

const PREFIX = durableName("");

/** What is kept in the cluster, but cannot run here, has its consumer all the same. */
export function toOrphans({ lag, registry }: Core): readonly Orphan[] {
  const kept = new Set(registry.unusable().map(({ id }) => id));
  return lag.orphans().flatMap(({ domain, stream, consumer, lag: { pending, ackPending } }) => {
    const subscription = consumer.slice(PREFIX.length);
    return kept.has(subscription) ? [] : { consumer, subscription, domain, stream, pending, ackPending };
  });
}

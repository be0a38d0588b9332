// Collects the status of the relay from its parts.

import type { DeliveryLogStats } from "#delivery-log/log.ts";
import { durableName } from "#delivery/subscription.ts";
import { COMMIT, VERSION } from "#lib/version.ts";
import { NOT_SIGNED } from "#bucket/mirror.ts";
import { toBriefReadiness } from "#runtime/brief-readiness.ts";
import type { Orphan, Status } from "#wire/status.ts";
import type { Core } from "./core.ts";

interface StatusFacts {
  readonly host: string;
  readonly startedAt: Date;
  readonly fleet: Status["fleet"];
  readonly loadedAt: Date;
  readonly configPath: string;
  readonly refused: string | null;
  readonly warnings: readonly string[];
  readonly deliveryLog: DeliveryLogStats & { readonly unpublished: number };
  readonly telemetry: Status["telemetry"];
}

const MAX_UNUSABLE = 1000;

export function toStatus(core: Core, facts: StatusFacts): Status {
  const { connection, runtime, bucketFault } = core;
  const { connected, server, serverVersion, reconnects, lastError } = connection.status();
  return {
    host: facts.host,
    version: VERSION,
    commit: COMMIT,
    startedAt: facts.startedAt.toISOString(),
    config: {
      path: facts.configPath,
      loadedAt: facts.loadedAt.toISOString(),
      refused: facts.refused,
      warnings: [...facts.warnings],
    },
    nats: {
      connected,
      server,
      serverVersion,
      reconnects,
      lastError,
      bucket: bucketFault(),
    },
    fleet: facts.fleet,
    deliveryLog: facts.deliveryLog,
    telemetry: facts.telemetry,
    readiness: toBriefReadiness(runtime.readiness()),
    subscriptions: countStates(runtime),
    unusable: toUnusable(core),
  };
}

/** How many subscriptions are in each state; a state of none is left out. */
export function countStates({ subscriptions }: Core["runtime"]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { state } of subscriptions) {
    const { kind } = state();
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** Bucket entries about one subscription get its id, others their key. */
function toUnusable({ registry, refusedKeys }: Core): Status["unusable"] {
  const subscriptions = registry.unusable();
  const ids = new Set(subscriptions.map(({ id }) => id));
  const others = refusedKeys().flatMap((key) => {
    const [kind, id = ""] = key.split(".");
    if (kind === "subscription" && ids.has(id)) return [];
    const isOfOne = kind === "subscription" || kind === "state";
    return [{ id: isOfOne ? id : key, reason: `Key ${key} of the bucket: ${NOT_SIGNED}` }];
  });
  return [...subscriptions, ...others].slice(0, MAX_UNUSABLE);
}

const PREFIX = durableName("");

/** Subscriptions that are stored but cannot run here still have their consumer. */
export function toOrphans({ lag, registry }: Core): readonly Orphan[] {
  const kept = new Set(registry.unusable().map(({ id }) => id));
  return lag.orphans().flatMap(({ domain, stream, consumer, lag: { pending, ackPending } }) => {
    const subscription = consumer.slice(PREFIX.length);
    return kept.has(subscription) ? [] : { consumer, subscription, domain, stream, pending, ackPending };
  });
}

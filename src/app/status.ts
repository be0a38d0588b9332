// How the relay is, gathered from its parts.

import type { DeliveryLogStats } from "#delivery-log/log.ts";
import type { Status } from "#http/status.ts";
import { COMMIT, VERSION } from "#lib/version.ts";
import { toBriefReadiness } from "#runtime/brief-readiness.ts";
import type { Core } from "./core.ts";

export interface StatusFacts {
  readonly startedAt: Date;
  readonly loadedAt: Date;
  readonly configPath: string;
  readonly refused: string | null;
  readonly warnings: readonly string[];
  readonly deliveryLog: DeliveryLogStats;
}

export function toStatus({ connection, runtime, registry, bucketFault }: Core, facts: StatusFacts): Status {
  const { connected, server, serverVersion, reconnects, lastError } = connection.status();
  const subscriptions: Record<string, number> = {};
  for (const { state } of runtime.subscriptions) {
    const { kind } = state();
    subscriptions[kind] = (subscriptions[kind] ?? 0) + 1;
  }
  return {
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
    deliveryLog: facts.deliveryLog,
    readiness: toBriefReadiness(runtime.readiness()),
    subscriptions,
    unusable: [...registry.unusable()],
  };
}

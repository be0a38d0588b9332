// The relay as part of a fleet: serves its API over NATS while `fleet` is enabled, and asks the others.

import type { Config } from "#config/resolve.ts";
import { createFleetClient, type FleetClient } from "#fleet/client.ts";
import { type FleetCaller, type FleetService, serveFleet } from "#fleet/service.ts";
import { RelayError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { COMMIT, VERSION } from "#lib/version.ts";
import { openConnection } from "#nats/connection.ts";
import type { Status } from "#wire/status.ts";
import type { Core } from "./core.ts";
import { countStates } from "./status.ts";

const CONNECT_MS = 5000;
const SILENT: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  isEnabled: () => false,
};

/** For a command: connects with the settings of the config. Rejects with a RelayError. */
export async function openFleetClient(
  { nats, fleet }: Pick<Config, "nats" | "fleet">,
  signal: AbortSignal,
): Promise<{ readonly client: FleetClient; readonly close: () => void }> {
  const closing = new AbortController();
  const named = { ...nats, name: `${nats.name} (command line)` };
  const connection = openConnection(named, { logger: SILENT, signal: closing.signal });
  if (await connection.ready(AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]))) {
    return { client: createFleetClient(connection, fleet), close: () => closing.abort() };
  }
  closing.abort();
  const why = connection.status().lastError ?? "no answer";
  throw new RelayError("unavailable", `Cannot reach NATS at ${nats.servers.join(", ")}: ${why}`);
}

interface FleetOptions {
  readonly core: () => Core;
  readonly startedAt: Date;
  readonly fetch: (request: Request, caller: FleetCaller) => Response | Promise<Response>;
  readonly logger: Logger;
}

interface Fleet {
  readonly apply: (config: Config) => void;
  readonly status: () => Status["fleet"];
  /** Null: it is not enabled. */
  readonly client: () => FleetClient | null;
  readonly close: () => void;
}

const MAX_REASONS = 3;

/** Serves nothing before the first `apply`. */
export function createFleet({ core, startedAt, fetch, logger }: FleetOptions): Fleet {
  let service: FleetService | null = null;
  let client: FleetClient | null = null;
  let prefix = "";

  function close(): void {
    service?.close();
    service = null;
    client = null;
  }

  function apply({ fleet, host, nats }: Config): void {
    if (fleet.enabled && service !== null && prefix === fleet.prefix) return;
    close();
    ({ prefix } = fleet);
    if (!fleet.enabled) return;
    const { connection } = core();
    client = createFleetClient(connection, { prefix });
    service = serveFleet({
      connection,
      prefix,
      host: host.name,
      inboxPrefix: nats.inboxPrefix,
      version: VERSION,
      startedAt,
      logger,
      fetch,
      summary: () => toSummary(core(), { host: host.name, startedAt }),
    });
  }

  return {
    apply,
    close,
    client: () => client,
    status: () => (service === null ? null : { prefix, fault: service.fault() }),
  };
}

function toSummary({ runtime, lag }: Core, { host, startedAt }: { host: string; startedAt: Date }) {
  const { isReady, reasons } = runtime.readiness();
  return {
    host,
    version: VERSION,
    commit: COMMIT,
    startedAt: startedAt.toISOString(),
    ready: isReady,
    reasons: reasons.slice(0, MAX_REASONS).map((reason) => reason.slice(0, 300)),
    subscriptions: countStates(runtime),
    pending: runtime.subscriptions.reduce(
      (sum, { subscription }) => sum + (lag.of(subscription)?.pending ?? 0),
      0,
    ),
  };
}

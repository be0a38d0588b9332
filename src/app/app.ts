// The composition root: builds every part from a config, connects them, applies new configs, and shuts them down in order.

import { join } from "node:path";
import { findAddressFault } from "#callback/own-addresses.ts";
import { describeIssue } from "#schema/issue.ts";
import type { Config } from "#config/resolve.ts";
import { maskConfig } from "#config/mask-config.ts";
import { createActivity } from "#http/activity.ts";
import { createAuth } from "#http/auth.ts";
import { createMetrics } from "#http/metrics.ts";
import type { ReloadOutcome } from "#http/reload.ts";
import { createServer } from "#http/server.ts";
import { createSessions } from "#http/session.ts";
import { createServerSlots } from "#http/slots.ts";
import { openDeliveryLog } from "#delivery-log/log.ts";
import { createOverrides } from "#delivery-log/overrides.ts";
import { readStreamMessage } from "#letters/stream-messages.ts";
import { messageOf, RelayError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { toConsumerSettings } from "#consumer/config.ts";
import type { ConsumerLag } from "#consumer/lag.ts";
import { previewSeek } from "#consumer/seek-preview.ts";
import { readLastSequence } from "#nats/stream.ts";
import { createPage, createUnknownPage } from "#page/page.tsx";
import { joinObservers, type Observer } from "#pipeline/observer.ts";
import { createProgress } from "#runtime/progress.ts";
import type { Runtime } from "#runtime/runtime.ts";
import { type Core, startCore } from "./core.ts";
import { createFleet } from "./fleet.ts";
import { createLogObserver } from "./log-observer.ts";
import { toOrphans, toStatus } from "./status.ts";
import {
  describeRefusal,
  describeSettings,
  describeTaken,
  isSameConfig,
  listFixedChanges,
} from "./reload.ts";
import { createRecordPublisher } from "./record-publisher.ts";
import { createRecordObserver } from "./record-observer.ts";
import { createTelemetry } from "#telemetry/telemetry.ts";
import type { Fetch } from "#http/fetch-adapter.ts";
import { watchSockets, openListeners } from "#http/listeners.ts";

export interface App {
  /** `http://host:port/`; null: there is no TCP listener. */
  readonly url: string | null;
  readonly runtime: Runtime;
  readonly config: () => Config;
  /** Waits until NATS is connected, or `signal` aborts: then with false. */
  readonly connected: (signal: AbortSignal) => Promise<boolean>;
  /** How late the most overdue callback call is, measured by its own deadline; 0: none is. */
  readonly lateMs: () => number;
  /** Applies a config, whole or not at all; resolves with a line for each change. Rejects with a RelayError and no change. */
  readonly apply: (next: Config) => Promise<readonly string[]>;
  /** Drains: starts nothing new, waits up to the grace period for requests in flight, returns the rest. */
  readonly stop: () => Promise<void>;
}

interface AppOptions {
  readonly logger: Logger;
  /** Called for every attempt and every ending, beside metrics and log. */
  readonly observers: readonly Observer[];
  readonly reload: {
    readonly configPath: string;
    readonly run: () => Promise<ReloadOutcome>;
    readonly refused: () => string | null;
  };
}

/** To export spans, however little of the grace period is left. */
const LAST_SPANS_MS = 500;

const STOPS = "Cannot apply the config: the relay is stopping";

/** Rejects with a RelayError if a listener cannot be opened, and leaves nothing running then. NATS may still be unreachable. */
export async function startApp(initial: Config, options: AppOptions): Promise<App> {
  const { logger, observers, reload } = options;
  const startedAt = new Date();
  const addressFault = findAddressFault();
  if (addressFault !== null) logger.warn(addressFault);
  let config = initial;
  let loadedAt = startedAt;
  let core: Core | null = null;
  const auth = createAuth(initial.server.auth, { logger });
  const sessions = createSessions();
  const slots = createServerSlots();
  let isStopping = false;
  const deliveryLog = openDeliveryLog(join(initial.state.directory, "delivery-log.db"), {
    bounds: initial.deliveryLog,
    logger,
  });
  const metrics = createMetrics({
    host: initial.host.name,
    subscriptions: () => core?.runtime.subscriptions ?? [],
    lagOf,
    callbackConnections: (id) => core?.openCallbacks.connectionsOf(id) ?? 0,
    isReady: () => core?.runtime.readiness().isReady ?? false,
    connection: () => ({
      isConnected: core?.connection.isConnected ?? false,
      reconnects: core?.connection.status().reconnects ?? 0,
      unconfirmedAcks: core?.connection.unconfirmedAcks ?? 0,
    }),
    bucketFault: () => (core === null ? "The relay is starting" : core.bucketFault()),
    configRefused: reload.refused,
    deliveryLog: logStats,
    telemetry: () => telemetry.stats(),
  });
  const overrides = createOverrides((entrypoint, override) => {
    logger.info("Recording changed", { entrypoint, until: override?.until ?? null });
  });
  const publisher = createRecordPublisher({
    host: initial.host.name,
    subject: () => config.deliveryLog.publishSubject,
    connection: () => running().connection,
  });
  const records = createRecordObserver({
    log: {
      leaveOut: deliveryLog.leaveOut,
      append(record) {
        deliveryLog.append(record);
        publisher.take(record);
      },
    },
    overrides,
  });
  const activity = createActivity();
  const telemetry = createTelemetry({
    host: initial.host.name,
    broker: () => ({ server: running().connection.status().server, clientName: initial.nats.name }),
    logger,
  });
  telemetry.apply(initial.telemetry);
  const own = [metrics.observer, activity.observer, records, createLogObserver(logger)];
  const observer = joinObservers([...own, telemetry.observer, ...observers], telemetry.observer);
  const fleet = createFleet({
    core: running,
    startedAt,
    fetch: (request, { over, ...caller }) => fetch(request, { caller: { kind: "nats", ...caller }, over }),
    logger,
  });
  let fetch = createFetch();
  const listening = openListeners(initial, (request, bindings) => fetch(request, bindings), { logger });
  const listeners = await listening.catch((error: unknown) => {
    deliveryLog.close();
    throw error;
  });
  const progress = createProgress({ now: () => performance.now() });
  core = startCore(initial, {
    logger,
    observer,
    progress,
    check: watchSockets(listeners.sockets, { logger }),
    onStateChanged: metrics.stateChanged,
    onLoggingKept: overrides.keep,
  });
  fleet.apply(config);

  function logStats() {
    return { ...deliveryLog.stats(), unpublished: publisher.dropped() };
  }

  function toTelemetryStatus() {
    if (config.telemetry === null) return null;
    return { endpoint: config.telemetry.url.href, ...telemetry.stats() };
  }

  function lagOf(id: string): ConsumerLag | null {
    const found = core?.runtime.find(id) ?? null;
    return core === null || found === null ? null : core.lag.of(found.subscription);
  }

  function running(): Core {
    if (core === null) throw new Error("The relay is starting");
    return core;
  }

  /** Created anew with each config, because entrypoints are mounted elsewhere. */
  function createFetch(): Fetch {
    return createServer({
      auth,
      sessions,
      slots,
      host: config.host.name,
      listen: initial.server.listen,
      entrypoints: config.entrypoints,
      readiness: () =>
        core?.runtime.readiness() ?? { isReady: false, reasons: ["The relay is starting"], idle: [] },
      metrics: metrics.expose,
      registry: () => running().registry,
      letters: () => running().letters,
      replays: () => running().replays,
      findSubscription: (id) => running().runtime.find(id),
      deliveryLog,
      overrides,
      keptLogging: () => running().keptLogging,
      lagOf,
      lastSequenceOf: ({ source }) => readLastSequence(running().connection, source),
      previewSeek: (subscription, start) =>
        previewSeek(running().connection, toConsumerSettings(subscription), start),
      messageAt: ({ source }, sequence) => readStreamMessage(running().connection, source, sequence),
      fleet: fleet.client,
      status: () =>
        toStatus(running(), {
          fleet: fleet.status(),
          host: config.host.name,
          startedAt,
          loadedAt,
          configPath: reload.configPath,
          refused: reload.refused(),
          warnings: config.warnings.map(describeIssue),
          deliveryLog: logStats(),
          telemetry: toTelemetryStatus(),
        }),
      orphans: () => toOrphans(running()),
      applications: () => running().applications,
      config: () => maskConfig(config.origin.file),
      reload: reload.run,
      activity,
      page: createPage(config.entrypoints.map(({ contextPath }) => contextPath)),
      unknownPage: createUnknownPage,
      onError: (error) => logger.error("Cannot answer a request", { error: messageOf(error) }),
    }).fetch;
  }

  async function apply(next: Config): Promise<readonly string[]> {
    if (isStopping) throw new RelayError("unavailable", STOPS);
    const before = config;
    const fixed = listFixedChanges(before, next);
    if (fixed.length > 0) throw new RelayError("config-invalid", describeRefusal(fixed));
    const lines = (await listeners.renewCertificate()) ? ["Certificate of the listener renewed"] : [];
    if (isSameConfig(before, next)) return lines;
    config = next;
    loadedAt = new Date();
    fetch = createFetch();
    fleet.apply(config);
    telemetry.apply(config.telemetry);
    deliveryLog.setBounds(next.deliveryLog);
    lines.push(...describeSettings(before, next));
    return [...lines, ...describeTaken(await running().apply(next))];
  }

  return {
    url: listeners.url,
    get runtime() {
      return running().runtime;
    },
    config: () => config,
    connected: (signal) => running().connection.ready(signal),
    lateMs: progress.lateMs,
    apply,
    async stop() {
      if (isStopping) throw new Error("The relay is stopping already");
      isStopping = true;
      const endsAtMs = performance.now() + config.shutdown.graceMs;
      fleet.close();
      await running().stop(config.shutdown.graceMs);
      publisher.close();
      await telemetry.close(Math.max(LAST_SPANS_MS, endsAtMs - performance.now()));
      overrides.close();
      deliveryLog.close();
      await listeners.close();
    },
  };
}

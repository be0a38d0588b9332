// The composition root: builds every part from a config, joins them, changes them with it, and takes them down in the right order.

import { isDeepStrictEqual } from "node:util";
import type { Config } from "#config/resolve.ts";
import { toShown } from "#config/shown.ts";
import { createAuth } from "#http/auth.ts";
import { createMetrics } from "#http/metrics.ts";
import type { ReloadOutcome } from "#http/reload.ts";
import { createServer } from "#http/server.ts";
import { createSessions } from "#http/session.ts";
import { messageOf, RelayError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import type { ConsumerLag } from "#nats/lag.ts";
import { joinObservers, type Observer } from "#pipeline/observer.ts";
import type { Runtime } from "#runtime/runtime.ts";
import { type Core, startCore } from "./core.ts";
import type { Fetch } from "./listen.ts";
import { openListeners } from "./listeners.ts";
import { createLogObserver } from "./log-observer.ts";
import { toOrphans } from "./orphans.ts";
import { describeSettings, describeTaken } from "./plan-lines.ts";
import { isSameConfig, needsNewCore } from "./reload.ts";
import type { SecretMask } from "./secret-mask.ts";
import { toStatus } from "./status.ts";

export interface App {
  /** `http://host:port/`; null: there is no TCP listener. */
  readonly url: string | null;
  readonly runtime: Runtime;
  readonly config: () => Config;
  /** Whole or not at all: a line for each change. Rejects with a RelayError, and nothing has changed then. */
  readonly apply: (next: Config) => Promise<readonly string[]>;
  /** Drains: nothing new, up to the grace period for what is in flight, the rest goes back. */
  readonly stop: () => Promise<void>;
}

export interface AppOptions {
  readonly logger: Logger;
  readonly secretMask: SecretMask;
  /** Told of every attempt and every ending, beside metrics and log. */
  readonly observers: readonly Observer[];
  readonly reload: {
    readonly configPath: string;
    readonly run: () => Promise<ReloadOutcome>;
    readonly refused: () => string | null;
  };
}

const STOPS = "Cannot take the config: the relay stops";

/** Rejects with a RelayError if a listener cannot be opened: nothing is left running then. NATS is waited for meanwhile. */
export async function startApp(initial: Config, options: AppOptions): Promise<App> {
  const { logger, secretMask, observers, reload } = options;
  const { mask } = secretMask;
  const startedAt = new Date();
  let config = initial;
  let loadedAt = startedAt;
  let core: Core | null = null;
  let sessions = createSessions();
  let isStopping = false;
  const metrics = createMetrics({
    subscriptions: () => core?.runtime.subscriptions ?? [],
    lagOf,
    callbackConnections: (id) => core?.openCallbacks.connectionsOf(id) ?? 0,
    connection: () => ({
      isConnected: core?.connection.isConnected ?? false,
      reconnects: core?.connection.status().reconnects ?? 0,
      unconfirmedAcks: core?.connection.unconfirmedAcks ?? 0,
    }),
    bucketFault: () => (core === null ? "The relay is starting" : core.bucketFault()),
    configRefused: reload.refused,
  });
  const observer = joinObservers([metrics.observer, createLogObserver(logger), ...observers]);
  let fetch = createFetch();
  const listeners = await openListeners(initial, (request, bindings) => fetch(request, bindings));
  core = start();

  function start(): Core {
    return startCore(config, { logger, secretMask, observer, onStateChanged: metrics.stateChanged });
  }

  function lagOf(id: string): ConsumerLag | null {
    const found = core?.runtime.find(id) ?? null;
    return core === null || found === null ? null : core.lag.of(found.subscription);
  }

  function running(): Core {
    if (core === null) throw new Error("The relay is starting");
    return core;
  }

  /** Made anew with each config: who may come in, and where entrypoints are mounted. */
  function createFetch(): Fetch {
    const { auth, listen } = config.server;
    return createServer({
      auth: createAuth(auth, { logger }),
      sessions,
      listen,
      mask,
      entrypoints: config.entrypoints,
      readiness: () =>
        core?.runtime.readiness() ?? { isReady: false, reasons: ["The relay is starting"], idle: [] },
      metrics: metrics.expose,
      registry: () => running().registry,
      lagOf,
      status: () =>
        toStatus(running(), {
          startedAt,
          loadedAt,
          configPath: reload.configPath,
          refused: reload.refused(),
          warnings: config.warnings,
          mask,
        }),
      orphans: () => toOrphans(running()),
      config: () => toShown(config.origin.file, mask),
      reload: reload.run,
      onError: (error) => logger.error("A request could not be answered", { error: messageOf(error) }),
    }).fetch;
  }

  async function apply(next: Config): Promise<readonly string[]> {
    const prepared = await listeners.prepare(next);
    if (isStopping) {
      await prepared.discard();
      throw new RelayError("unavailable", STOPS);
    }
    prepared.commit();
    const lines = prepared.isChanged ? [`Listening on ${listeners.url ?? "the control socket"}`] : [];
    const before = config;
    if (isSameConfig(before, next)) return lines;
    secretMask.hide(next.secrets);
    config = next;
    loadedAt = new Date();
    // Who signed in under other rules is to do so again.
    if (!isDeepStrictEqual(before.server.auth, next.server.auth)) sessions = createSessions();
    fetch = createFetch();
    lines.push(...describeSettings(before, next));
    if (!needsNewCore(before, next)) return [...lines, ...describeTaken(await running().apply(next))];
    await running().stop(next.shutdown.graceMs);
    if (isStopping) throw new RelayError("unavailable", STOPS);
    core = start();
    return [...lines, "NATS or state changed: everything was started anew"];
  }

  return {
    get url() {
      return listeners.url;
    },
    get runtime() {
      return running().runtime;
    },
    config: () => config,
    apply,
    async stop() {
      isStopping = true;
      await running().stop(config.shutdown.graceMs);
      await listeners.close();
    },
  };
}

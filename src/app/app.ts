// The composition root: builds every part from a config, joins them, changes them with it, and takes them down in the right order.

import type { Config } from "#config/resolve.ts";
import { toShown } from "#config/shown.ts";
import { createAuth } from "#http/auth.ts";
import { createMetrics } from "#http/metrics.ts";
import type { ReloadOutcome } from "#http/reload.ts";
import { createServer } from "#http/server.ts";
import { createSessions } from "#http/session.ts";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { joinObservers, type Observer } from "#pipeline/observer.ts";
import type { Runtime } from "#runtime/runtime.ts";
import { type Core, startCore } from "./core.ts";
import type { Fetch } from "./listen.ts";
import { openListeners } from "./listeners.ts";
import { createLogObserver } from "./log-observer.ts";
import { needsNewCore } from "./reload.ts";
import { describePlan } from "./plan-lines.ts";
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

/** Rejects with a RelayError if a listener cannot be opened: nothing is left running then. NATS is waited for meanwhile. */
export async function startApp(initial: Config, options: AppOptions): Promise<App> {
  const { logger, secretMask, observers, reload } = options;
  const { mask } = secretMask;
  const startedAt = new Date();
  let config = initial;
  let loadedAt = startedAt;
  let core: Core | null = null;
  const metrics = createMetrics({
    subscriptions: () => core?.runtime.subscriptions ?? [],
    connection: () => core?.connection.status() ?? { connected: false, reconnects: 0 },
  });
  const observer = joinObservers([metrics.observer, createLogObserver(logger), ...observers]);
  let fetch = createFetch();
  const listeners = await openListeners(initial, (request, bindings) => fetch(request, bindings));
  core = start();

  function start(): Core {
    return startCore(config, { logger, secretMask, observer, onStateChanged: metrics.stateChanged });
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
      sessions: createSessions(),
      listen,
      mask,
      entrypoints: config.entrypoints,
      readiness: () =>
        core?.runtime.readiness() ?? { isReady: false, reasons: ["The relay is starting"], idle: [] },
      metrics: metrics.expose,
      registry: () => running().registry,
      lagOf: () => null,
      status: () =>
        toStatus(running(), {
          startedAt,
          loadedAt,
          configPath: reload.configPath,
          refused: reload.refused(),
          warnings: config.warnings,
          mask,
        }),
      config: () => toShown(config.origin.file, mask),
      reload: reload.run,
      onError: (error) => logger.error("A request could not be answered", { error: messageOf(error) }),
    }).fetch;
  }

  async function apply(next: Config): Promise<readonly string[]> {
    const prepared = await listeners.prepare(next);
    secretMask.hide(next.secrets);
    const isNew = needsNewCore(config, next);
    config = next;
    loadedAt = new Date();
    fetch = createFetch();
    prepared.commit();
    const lines = prepared.isChanged ? [`Listening on ${listeners.url ?? "the control socket"}`] : [];
    if (!isNew) return [...lines, ...describePlan(await running().apply(next))];
    await running().stop(next.shutdown.graceMs);
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
      await running().stop(config.shutdown.graceMs);
      await listeners.close();
    },
  };
}

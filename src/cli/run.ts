// `relay run`: runs the relay until a signal stops it.

import { type App, startApp } from "#app/app.ts";
import { createReloader } from "#app/reload.ts";
import { describeIssue } from "#schema/issue.ts";
import { loadConfig } from "#config/load.ts";
import type { Config } from "#config/resolve.ts";
import { watchConfig } from "#config/watch.ts";
import { RelayError } from "#lib/errors.ts";
import { findStateFault } from "#lib/state-directory.ts";
import { createLogger, type Logger, type LogLevel } from "#lib/logger.ts";
import { COMMIT, VERSION } from "#lib/version.ts";
import type { Notify } from "#systemd/notify.ts";
import { startServiceLife } from "./service-life.ts";
import { toStatusLine } from "./status-line.ts";

interface RunOptions {
  readonly configPath: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts when the relay is to stop; its reason is the name of the signal. */
  readonly stopping: AbortSignal;
  /** Why the options of the engine could not be set, a small heap among them; null: they are, or need not be. */
  readonly engineFault: string | null;
  readonly onHangup: (listener: () => void) => void;
  readonly write: (line: string, level: LogLevel) => void;
  /** Standard output is a terminal: somebody reads the log. */
  readonly isTerminal: boolean;
  readonly notify: Notify;
  /** Interval of the systemd watchdog; null: there is none. */
  readonly watchdogMs: number | null;
}

/** A relay without NATS is ready too: it waits, and says so. */
const CONNECT_WAIT_MS = 10_000;
/** How late a call of a callback may be before the relay counts as hung. */
const MAX_LATE_MS = 30_000;

/** Resolves with the exit code when the relay has drained. Rejects with a RelayError if it cannot start. */
export async function run(options: RunOptions): Promise<number> {
  const { configPath, env, stopping, write, notify } = options;
  let onChange: () => void = () => undefined;
  const watch = await watchConfig(configPath, { onChange: () => onChange() });
  const config = await loadUnlessStopped(configPath, { env, signal: stopping });
  if (config === null) {
    watch.close();
    return 0;
  }
  const stateFault = findStateFault(config.state.directory);
  if (stateFault !== null) {
    watch.close();
    throw new RelayError("config-invalid", `Cannot use state.directory: ${stateFault}`);
  }
  const constant = { host: config.host.name };
  const defaultFormat = options.isTerminal ? "text" : "json";
  const logger = createLogger({ ...config.logs, write, now: () => new Date(), defaultFormat, constant });
  logStart(logger, config, options);
  const started = Promise.withResolvers<App>();
  let running: App | null = null;
  const life = startServiceLife({
    notify,
    watchdogMs: options.watchdogMs,
    isMoving: () => (running?.lateMs() ?? 0) < MAX_LATE_MS,
  });
  using stack = new DisposableStack();
  stack.defer(life.close);
  const reloader = createReloader({
    path: configPath,
    env,
    logger,
    async apply(next) {
      const changes = await (await started.promise).apply(next);
      logger.adjust(next.logs);
      return changes;
    },
    signal: stopping,
  });
  const reload = () => life.reload((running?.config() ?? config).shutdown.graceMs, reloader.reload);
  // What changes while it starts is taken when it has.
  onChange = () => void reload();
  options.onHangup(onChange);
  const app = await startApp(config, {
    logger,
    observers: [],
    reload: { configPath, run: reload, refused: reloader.refused },
  });
  running = app;
  started.resolve(app);
  logger.info("Relay runs", { url: app.url, subscriptions: config.subscriptions.length });
  await app.connected(AbortSignal.any([stopping, AbortSignal.timeout(CONNECT_WAIT_MS)]));
  life.ready(() => describe(app, reloader.refused()));
  await aborted(stopping);
  watch.close();
  life.stopping(app.config().shutdown.graceMs);
  logger.info("Relay drains", {
    signal: String(stopping.reason),
    graceSeconds: app.config().shutdown.graceMs / 1000,
  });
  await app.stop();
  logger.info("Relay stopped");
  return 0;
}

function logStart(logger: Logger, { host, warnings }: Config, options: RunOptions): void {
  const { configPath, engineFault, notify } = options;
  logger.info("Relay starts", { version: VERSION, commit: COMMIT, host: host.name, config: configPath });
  if (engineFault !== null) {
    logger.debug("Relay runs with a larger heap: it could not start itself again", { reason: engineFault });
  }
  for (const warning of warnings) logger.warn(describeIssue(warning));
  if (notify.fault !== null) logger.warn(notify.fault);
}

/** null: `signal` aborted while key stores were read. */
async function loadUnlessStopped(
  path: string,
  { env, signal }: { env: RunOptions["env"]; signal: AbortSignal },
): Promise<Config | null> {
  try {
    return await loadConfig(path, { env, signal });
  } catch (error) {
    if (error instanceof RelayError && error.code === "unavailable" && signal.aborted) return null;
    throw error;
  }
}

function describe({ runtime }: App, refused: string | null): string {
  const states = runtime.subscriptions.map(({ state }) => state().kind);
  return toStatusLine({ readiness: runtime.readiness(), states, refused });
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

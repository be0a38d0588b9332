// `relay run`: the relay itself, until it is told to stop.

import { type App, startApp } from "#app/app.ts";
import { createReloader } from "#app/reload.ts";
import { createSecretMask } from "#app/secret-mask.ts";
import { loadConfig } from "#config/load.ts";
import { watchConfig } from "#config/watch.ts";
import { createLogger } from "#lib/logger.ts";
import { COMMIT, VERSION } from "#lib/version.ts";

export interface RunOptions {
  readonly configPath: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborts when the relay is to stop; its reason is the name of the signal. */
  readonly stopping: AbortSignal;
  readonly onHangup: (listener: () => void) => void;
  readonly write: (line: string) => void;
}

/** Resolves with the exit code when the relay has drained. Rejects with a RelayError if it cannot start. */
export async function run(options: RunOptions): Promise<number> {
  const { configPath, env, stopping, write } = options;
  let onChange: () => void = () => undefined;
  const watch = await watchConfig(configPath, { onChange: () => onChange() });
  const config = await loadConfig(configPath, { env });
  const secretMask = createSecretMask(config.secrets);
  const logger = createLogger({
    ...config.logs,
    write,
    now: () => new Date(),
    mask: secretMask.mask,
  });
  logger.info("Relay starts", { version: VERSION, commit: COMMIT, config: configPath });
  for (const warning of config.warnings) logger.warn(warning);
  for (const unused of config.unused) logger.warn(unused);
  const started = Promise.withResolvers<App>();
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
  // What changes while it starts is taken when it has.
  onChange = () => void reloader.reload();
  options.onHangup(onChange);
  const app = await startApp(config, {
    logger,
    secretMask,
    observers: [],
    reload: { configPath, run: reloader.reload, refused: reloader.refused },
  });
  started.resolve(app);
  logger.info("Relay runs", { url: app.url, subscriptions: config.subscriptions.length });
  await aborted(stopping);
  watch.close();
  logger.info("Relay drains", {
    signal: String(stopping.reason),
    graceSeconds: app.config().shutdown.graceMs / 1000,
  });
  await app.stop();
  logger.info("Relay stopped");
  return 0;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

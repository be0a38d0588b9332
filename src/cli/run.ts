// `relay run`: the relay itself, until it is told to stop.

import { startApp } from "#app/app.ts";
import { loadConfig } from "#config/load.ts";
import { createMask } from "#config/secrets.ts";
import { createLogger, type LogFormat, type Logger, type LogLevel } from "#lib/logger.ts";
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
  const config = await loadConfig(configPath, { env });
  const logger = createProcessLogger(config.logs, { secrets: config.secrets, write });
  logger.info("Relay starts", { version: VERSION, commit: COMMIT, config: configPath });
  for (const warning of config.warnings) logger.warn(warning);
  for (const unused of config.unused) logger.warn(unused);
  options.onHangup(() => logger.warn("SIGHUP does nothing yet: restart to apply a changed config"));
  const app = await startApp(config, { logger, observers: [] });
  logger.info("Relay runs", { url: app.url, subscriptions: config.subscriptions.length });
  await aborted(stopping);
  logger.info("Relay drains", {
    signal: String(stopping.reason),
    graceSeconds: config.shutdown.graceMs / 1000,
  });
  await app.stop();
  logger.info("Relay stopped");
  return 0;
}

export function createProcessLogger(
  { level, format }: { level: LogLevel; format: LogFormat },
  { secrets, write }: { secrets: readonly string[]; write: (line: string) => void },
): Logger {
  return createLogger({ level, format, write, now: () => new Date(), mask: createMask(secrets) });
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

// `relay check`: every fault of the config file, or what there is to know about it.

import { loadConfig } from "#config/load.ts";
import type { Config } from "#config/resolve.ts";
import { RelayError } from "#lib/errors.ts";
import type { Output } from "./output.ts";

export interface CheckOptions {
  readonly path: string;
  /** True: references to secrets are taken as given. */
  readonly withoutSecrets: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const EXIT_CONFIG = 78;

/** Resolves with the exit code: 0, or 78 with the report on standard error. */
export async function runCheck({ path, withoutSecrets, env }: CheckOptions, io: Output): Promise<number> {
  try {
    const config = await loadConfig(path, { env, withoutSecrets });
    io.stdout(`${describe(path, config)}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof RelayError) || error.code !== "config-invalid") throw error;
    io.stderr(`${error.message}\n`);
    return EXIT_CONFIG;
  }
}

function describe(path: string, config: Config): string {
  const counts = [
    count(config.endpointCount, "endpoint"),
    count(config.entrypoints.length, "entrypoint"),
    count(config.subscriptions.length, "subscription"),
  ];
  return [
    `${path} is valid: ${counts.join(", ")}`,
    ...config.warnings.map((warning) => `  warning: ${warning}`),
    ...config.unused.map((unused) => `  note: ${unused}`),
  ].join("\n");
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

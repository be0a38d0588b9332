// A config from a file that may be in the middle of being written.

import { sleep } from "#lib/sleep.ts";
import { loadConfig, type LoadOptions } from "./load.ts";
import type { Config } from "./resolve.ts";

export interface SettledOptions extends LoadOptions {
  /** Ends the wait for the second look. */
  readonly signal: AbortSignal;
  readonly retryMs?: number;
}

const RETRY_MS = 1000;

/** As `loadConfig`, but what is at fault is loaded once more a second later, and only the second verdict holds. */
export async function loadSettledConfig(
  path: string,
  { signal, retryMs = RETRY_MS, ...options }: SettledOptions,
): Promise<Config> {
  try {
    return await loadConfig(path, options);
  } catch (error) {
    if (!(await sleep(retryMs, signal))) throw error;
    return loadConfig(path, options);
  }
}

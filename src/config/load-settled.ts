// A config from a file that may be in the middle of being written.

import { sleep } from "#lib/sleep.ts";
import { loadConfig, type LoadOptions, parseFile, readText, toConfig } from "./load.ts";
import type { ParsedConfig } from "./parse.ts";
import type { Config } from "./resolve.ts";

export interface SettledOptions extends LoadOptions {
  /** Ends the wait for the second look, and the reading of key stores. */
  readonly signal: AbortSignal;
  readonly retryMs?: number;
}

const RETRY_MS = 1000;

/**
 * As `loadConfig`, but what is at fault is loaded once more a second later, and only the second verdict holds. A text that
 * is the same then, and wrong in itself, is not parsed again: a large one costs much memory.
 */
export async function loadSettledConfig(
  path: string,
  { signal, retryMs = RETRY_MS, ...options }: SettledOptions,
): Promise<Config> {
  const first = await readText(path).catch(() => null);
  if (first === null) {
    await sleep(retryMs, signal);
    return loadConfig(path, { ...options, signal });
  }
  const parsed = await parseFile(first, { path, signal, ...options });
  if (parsed.kind === "valid" || !(await sleep(retryMs, signal))) return toConfig(path, parsed);
  return toConfig(path, await parseAgain(first, { path, parsed, signal, ...options }));
}

async function parseAgain(
  first: string,
  { path, parsed, ...options }: LoadOptions & { readonly path: string; readonly parsed: Invalid },
): Promise<ParsedConfig> {
  const text = await readText(path);
  return parsed.isOfText && text === first ? parsed : parseFile(text, { path, ...options });
}

type Invalid = Extract<ParsedConfig, { kind: "invalid" }>;

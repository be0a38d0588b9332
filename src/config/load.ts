// Loads the config from disk: the whole config, or an error with the whole report.

import { readFileSync, statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { hostname, userInfo } from "node:os";
import { dirname, join, resolve } from "node:path";

import { codeOf, RelayError } from "#lib/errors.ts";
import { sleep } from "#lib/sleep.ts";
import { findEncodingFault } from "./encoding.ts";
import { formatReport, type Issue } from "#schema/issue.ts";
import { parseConfig, type ParsedConfig, parseNatsConfig } from "./parse.ts";
import type { Config } from "./resolve.ts";
import { type ConfigContext, decodeText, reasonOf } from "./secrets.ts";

interface LoadOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** True: references are not looked up; the config is for checking only. */
  readonly withoutSecrets?: boolean;
  /** Which references are looked up, whatever `withoutSecrets` says; the config is for checking only. */
  readonly looksUp?: ConfigContext["looksUp"];
  /** Where the service has its credentials from, for a command outside of it. */
  readonly serviceCredentials?: string | undefined;
  /** Aborts reading key stores, which may take seconds: rejects with a RelayError `unavailable`. */
  readonly signal?: AbortSignal;
}

/** Ten thousand subscriptions with headers, credentials and stores take 10 MB with each setting on its own line. */
const MAX_CONFIG_BYTES = 12 * 1024 * 1024;
const MAX_SECRET_BYTES = 1024 * 1024;

/** Rejects with a RelayError `config-invalid` if the file cannot be read or has faults. */
export async function loadConfig(path: string, options: LoadOptions): Promise<Config> {
  return toConfig(path, await parseFile(await readText(path), { path, ...options }));
}

/** Its message is the whole report; `issues` are its parts. */
export class ConfigError extends RelayError {
  /** Empty: the file cannot be read; the message says why. */
  readonly issues: readonly Issue[];

  constructor(path: string, issues: readonly Issue[]) {
    super("config-invalid", formatReport(path, issues));
    this.name = "ConfigError";
    this.issues = issues;
  }
}

/** Throws the error with which `loadConfig` rejects. */
function toConfig(path: string, parsed: ParsedConfig): Config {
  if (parsed.kind === "valid") return parsed.config;
  throw new ConfigError(path, parsed.issues);
}

function parseFile(
  text: string,
  { path, signal = new AbortController().signal, ...options }: LoadOptions & { readonly path: string },
): Promise<ParsedConfig> {
  return parseConfig(text, contextOf(path, options), signal);
}

/** The world around the file at `path`. */
function contextOf(path: string, options: Omit<LoadOptions, "signal">): ConfigContext {
  const { env, withoutSecrets = false, looksUp, serviceCredentials } = options;
  return {
    env,
    directory: dirname(resolve(path)),
    readFile: (file: string) => decodeText(readSecretFile(file)),
    readBytes: readSecretFile,
    now: new Date(),
    hostName: hostname(),
    withoutSecrets,
    looksUp,
    serviceCredentials,
  };
}

/** Only `nats` and `fleet`, and of the secrets only those of `nats`. Rejects as `loadConfig` does. */
export async function loadNatsConfig(
  path: string,
  options: Omit<LoadOptions, "signal">,
): Promise<Pick<Config, "nats" | "fleet">> {
  const parsed = parseNatsConfig(await readText(path), contextOf(path, options));
  if (parsed.kind === "valid") return parsed.config;
  throw new ConfigError(path, parsed.issues);
}

/** Rejects with a RelayError. */
async function readText(path: string): Promise<string> {
  try {
    const found = await stat(path);
    // Reading a pipe would block, and with it every later reload.
    if (!found.isFile() && !found.isDirectory()) throw new Error("it is not a regular file");
    if (found.size > MAX_CONFIG_BYTES) throw new Error(`it is larger than ${MAX_CONFIG_BYTES} bytes`);
    const bytes = await readFile(path);
    const fault = findEncodingFault(bytes);
    if (fault !== null) throw new ConfigError(path, [fault]);
    return decodeText(bytes);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const advice = await adviseRead(path, error);
    const report = `Cannot read ${path}: ${reasonOf(error)}${advice === null ? "" : `; ${advice}`}`;
    throw new RelayError("config-invalid", report, { cause: error });
  }
}

/** Advice on an unreadable file: its owner and mode, or the config files that exist. */
async function adviseRead(path: string, error: unknown): Promise<string | null> {
  const code = codeOf(error);
  if (code === "ENOENT") return "relay init writes a first config, --config FILE names another file";
  if (code === "EISDIR") return `name the file in it: --config ${join(path, "relay.config.json")}`;
  if (code !== "EACCES") return null;
  const found = await stat(path).catch(() => null);
  if (found === null) return "no permission for a directory above it: use sudo";
  const mode = (found.mode & 0o777).toString(8).padStart(4, "0");
  const owner = `it belongs to user ${found.uid} and group ${found.gid}, with mode ${mode}`;
  const group = (found.mode & 0o040) === 0 ? "" : ", or a member of that group";
  return `${owner}, and this is user ${userInfo().uid}: become root with sudo${group}`;
}

function readSecretFile(path: string): Uint8Array {
  const found = statSync(path);
  if (!found.isFile()) throw new Error("it is not a regular file");
  if (found.size > MAX_SECRET_BYTES) throw new Error(`it is larger than ${MAX_SECRET_BYTES} bytes`);
  return readFileSync(path);
}

interface SettledOptions extends LoadOptions {
  /** Ends the wait for the second load, and the reading of key stores. */
  readonly signal: AbortSignal;
  readonly retryMs?: number;
}

const RETRY_MS = 1000;

/**
 * Like `loadConfig`, but loads a faulty file again a second later, because it may have been half-written. Only the second
 * result counts. If the text itself is at fault and unchanged, it is not parsed again: a large one costs much memory.
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

// `relay check`: reports all faults of the config file, or its warnings, and asks NATS with `--connect`.

import { counted } from "#lib/counted.ts";
import { readFileSync } from "node:fs";
import { describeFault, type Issue, faultParts } from "#schema/issue.ts";
import { ConfigError, loadConfig } from "#config/load.ts";
import { describeSource, type ReferenceUse } from "#config/plain-references.ts";
import type { Config } from "#config/resolve.ts";
import { serviceCredentialOf } from "#config/secrets.ts";
import { listUnshared } from "#config/warnings.ts";
import { RelayError } from "#lib/errors.ts";
import { clean, cleanLines, toSafeJson } from "#lib/printable.ts";
import type { Finding } from "#inspect/finding.ts";
import { inspectNats } from "#inspect/inspect.ts";
import type { Output } from "./output.ts";
import { CREDENTIALS_DIRECTORY } from "#systemd/unit.ts";
import { findReadableSecrets } from "./readable-secrets.ts";

export interface CheckOptions {
  readonly path: string;
  /** True: references to secrets are taken as given. */
  readonly withoutSecrets: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** True: NATS is asked, and nothing is changed there. */
  readonly connect?: boolean;
  /** True: warnings end with 1. */
  readonly strict?: boolean;
  /** True: one JSON document on standard output, faults included. */
  readonly json?: boolean;
  /** Ends the questions to NATS. */
  readonly stopping?: AbortSignal;
}

const EXIT = { sound: 0, refused: 1, config: 78 } as const;
const NEVER = new AbortController().signal;

/** What there is to say about one place of the file, or about what the server says. */
interface Remark extends Finding {
  readonly file: string;
  /** null: about the file as a whole, or about something outside of it. */
  readonly line: number | null;
  readonly column: number | null;
  readonly path: string | null;
  readonly found: string | null;
  readonly allowed: string | null;
  readonly suggestion: string | null;
}

/**
 * Resolves with the exit code: 0; 1 if NATS cannot be reached, something would be refused there, or there is a warning
 * and `strict`; 78 if the file has faults. Faults go to standard error, the rest to standard output.
 */
export async function runCheck(options: CheckOptions, io: Output): Promise<number> {
  const { path, withoutSecrets, env, connect = false, json = false, strict = false } = options;
  const config = await load(options).catch(toConfigFault);
  if (config instanceof RelayError) {
    if (json) io.stdout(toSafeJson({ path, valid: false, findings: listFaults(path, config) }));
    else io.stderr(`${cleanLines(config.message)}\n`);
    return EXIT.config;
  }
  const { nats, subscriptions, state } = config;
  const inspection = connect
    ? await inspectNats(nats, subscriptions, { bucket: state.bucket, signal: options.stopping ?? NEVER })
    : null;
  const server = inspection?.server ?? null;
  const outside = (inspection?.findings ?? []).map((finding) => toRemark(path, finding));
  const unread = withoutSecrets ? [] : listUnread(config, env);
  const findings = [...listRemarks(path, config, unread), ...outside];
  if (json) {
    const counts = countParts(config);
    const references = config.references.map(({ path: place, source }) => ({ path: place, ...source }));
    io.stdout(
      toSafeJson({ path, valid: true, ...counts, references, ...(connect ? { server } : {}), findings }),
    );
  } else {
    print({ path, config, server, findings }, io);
  }
  const isRefused = findings.some(({ level }) => level === "error" || (strict && level === "warning"));
  return isRefused ? EXIT.refused : EXIT.sound;
}

/** Only the service knows its credentials. With `connect`, the secrets of `nats` are read in any case. */
function load({ path, withoutSecrets, env, connect = false }: CheckOptions): Promise<Config> {
  return loadConfig(path, {
    withoutSecrets,
    env,
    serviceCredentials: CREDENTIALS_DIRECTORY,
    looksUp: ([part], source) => (connect && part === "nats") || (!withoutSecrets && isAtHand(source, env)),
  });
}

/** False: a credential that only the service is given. */
function isAtHand({ kind, name }: ReferenceUse["source"], env: CheckOptions["env"]): boolean {
  return kind !== "credential" || env["CREDENTIALS_DIRECTORY"] !== undefined || isServiceCredential(name);
}

function isServiceCredential(name: string): boolean {
  const readFile = (file: string) => readFileSync(file, "utf8");
  return serviceCredentialOf(name, { serviceCredentials: CREDENTIALS_DIRECTORY, readFile }) !== null;
}

function listUnread({ references }: Config, env: CheckOptions["env"]): readonly string[] {
  const names = references.filter(({ source }) => !isAtHand(source, env)).map(({ source }) => source.name);
  const shown = [...new Set(names)];
  if (shown.length === 0) return [];
  const more = shown.length > MAX_PLACES ? ` and ${shown.length - MAX_PLACES} more` : "";
  const which = `the credentials ${shown.slice(0, MAX_PLACES).join(", ")}${more}`;
  return [`${which} were not looked at: CREDENTIALS_DIRECTORY is not set; systemd sets it for the service`];
}

function toConfigFault(error: unknown): RelayError {
  if (error instanceof RelayError && error.code === "config-invalid") return error;
  throw error;
}

function listFaults(path: string, error: RelayError): readonly Remark[] {
  return error instanceof ConfigError
    ? error.issues.map((issue) => toRemark(path, { level: "error", about: "config", ...issue }))
    : [toRemark(path, { level: "error", about: "config", message: error.message })];
}

function toRemark(file: string, finding: Finding & Partial<Issue>): Remark {
  const { level, about, line = null, column = null, path = null, message, suggestion = null } = finding;
  const { found, allowed } = path === null ? { found: null, allowed: null } : faultParts({ path, message });
  return { level, about, file, line, column, path, message, found, allowed, suggestion };
}

function listRemarks(path: string, config: Config, unread: readonly string[]): readonly Remark[] {
  const readable = findReadableSecrets(path, config);
  const toFileRemark = (level: Finding["level"], message: string) =>
    toRemark(path, { level, about: "config", message });
  return [
    ...[...readable, ...unread].map((message) => toFileRemark("warning", message)),
    ...config.warnings.map((issue) => toRemark(path, { level: "warning", about: "config", ...issue })),
    ...listUnshared(config.origin.file).map((message) => toFileRemark("note", message)),
  ];
}

function print(
  {
    path,
    config,
    server,
    findings,
  }: {
    path: string;
    config: Config;
    server: { url: string; version: string } | null;
    findings: readonly Remark[];
  },
  io: Output,
): void {
  const { endpoints, entrypoints, subscriptions } = countParts(config);
  const counts = [
    counted(endpoints, "endpoint"),
    counted(entrypoints, "entrypoint"),
    counted(subscriptions, "subscription"),
  ];
  io.stdout(`${clean(path)} is valid: ${counts.join(", ")}\n`);
  for (const line of describeReferences(config)) io.stdout(`  ${clean(line)}\n`);
  for (const finding of findings.filter(isAboutFile)) show(finding, io);
  if (server !== null) io.stdout(`Connected to ${clean(`${server.url}, nats-server ${server.version}`)}\n`);
  for (const finding of findings.filter((finding) => !isAboutFile(finding))) show(finding, io);
}

const MAX_PLACES = 3;
const MAX_SOURCES = 50;

/** A line for each source, without its value: `from the environment variable HOOK: host.name and 3 more`. */
function describeReferences({ references }: Config): readonly string[] {
  const places = new Map<string, string[]>();
  for (const { path, source } of references) {
    const name = describeSource(source);
    const known = places.get(name);
    if (known === undefined) places.set(name, [path]);
    else known.push(path);
  }
  const lines = [...places].map(([name, paths]) => {
    const more = paths.length > MAX_PLACES ? ` and ${paths.length - MAX_PLACES} more` : "";
    return `from ${name}: ${paths.slice(0, MAX_PLACES).join(", ")}${more}`;
  });
  const rest = lines.length - MAX_SOURCES;
  return rest > 0 ? [...lines.slice(0, MAX_SOURCES), `and from ${rest} more sources`] : lines;
}

function isAboutFile({ about }: Finding): boolean {
  return about === "config";
}

function show(remark: Remark, io: Output): void {
  const write = remark.level === "error" ? io.stderr : io.stdout;
  write(`  ${remark.level}: ${clean(toLine(remark))}\n`);
}

function toLine(remark: Remark): string {
  const { about, file, line, column, path } = remark;
  if (!isAboutFile(remark)) return `${about}: ${describeFault(remark)}`;
  if (line === null || column === null || path === null) return describeFault(remark);
  return `${file}:${line}:${column} ${path}: ${describeFault(remark)}`;
}

function countParts({ endpointCount, entrypoints, subscriptions }: Config) {
  return {
    endpoints: endpointCount,
    entrypoints: entrypoints.length,
    subscriptions: subscriptions.length,
  };
}

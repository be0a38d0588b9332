// `relay check`: reports all faults of the config file, or its warnings, and asks NATS with `--connect`.

import { loadConfig } from "#config/load.ts";
import type { Config } from "#config/resolve.ts";
import { listUnshared } from "#config/warnings.ts";
import { RelayError } from "#lib/errors.ts";
import { clean, cleanLines, toSafeJson } from "#lib/printable.ts";
import type { Finding } from "#inspect/finding.ts";
import { inspectNats } from "#inspect/inspect.ts";
import type { Output } from "./output.ts";
import { findReadableSecrets } from "./readable-secrets.ts";

export interface CheckOptions {
  readonly path: string;
  /** True: references to secrets are taken as given. */
  readonly withoutSecrets: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** True: NATS is asked, and nothing is changed there. */
  readonly connect?: boolean;
  /** True: one JSON document on standard output, faults included. */
  readonly json?: boolean;
  /** Ends the questions to NATS. */
  readonly stopping?: AbortSignal;
}

const EXIT = { sound: 0, refused: 1, config: 78 } as const;
const NEVER = new AbortController().signal;

/**
 * Resolves with the exit code: 0; 1 if NATS cannot be reached or something would be refused there; 78 if the file has
 * faults. Faults go to standard error, the rest to standard output.
 */
export async function runCheck(options: CheckOptions, io: Output): Promise<number> {
  const { path, withoutSecrets, env, connect = false, json = false, stopping = NEVER } = options;
  if (connect && withoutSecrets) {
    throw new RelayError("usage", "Cannot connect without the secrets: leave out --without-secrets");
  }
  const config = await loadOrReport(path, { withoutSecrets, env });
  if (typeof config === "string") {
    if (json) io.stdout(toSafeJson({ path, valid: false, findings: listFaults(config) }));
    else io.stderr(`${cleanLines(config)}\n`);
    return EXIT.config;
  }
  const { nats, subscriptions, state } = config;
  const inspection = connect
    ? await inspectNats(nats, subscriptions, { bucket: state.bucket, signal: stopping })
    : null;
  const server = inspection?.server ?? null;
  const findings = [...listRemarks(path, config), ...(inspection?.findings ?? [])];
  if (json) {
    const counts = countParts(config);
    io.stdout(toSafeJson({ path, valid: true, ...counts, ...(connect ? { server } : {}), findings }));
  } else {
    print({ path, config, server, findings }, io);
  }
  return findings.some(({ level }) => level === "error") ? EXIT.refused : EXIT.sound;
}

/** The report, where the file has faults. */
async function loadOrReport(
  path: string,
  options: Pick<CheckOptions, "withoutSecrets" | "env">,
): Promise<Config | string> {
  try {
    return await loadConfig(path, options);
  } catch (error) {
    if (error instanceof RelayError && error.code === "config-invalid") return error.message;
    throw error;
  }
}

/** One for each line below the first, which counts them; of a report of one line, that one. */
function listFaults(report: string): readonly Finding[] {
  const [first = "", ...rest] = report.split("\n");
  const lines = rest.length === 0 ? [first] : rest;
  return lines.map((line) => ({ level: "error", about: "config", message: line.trim() }));
}

function listRemarks(path: string, config: Config): readonly Finding[] {
  const { unused } = config;
  const readable = findReadableSecrets(path, config);
  const warnings = readable === null ? config.warnings : [readable, ...config.warnings];
  return [
    ...warnings.map((message): Finding => ({ level: "warning", about: "config", message })),
    ...[...unused, ...listUnshared(config.origin.file)].map((message): Finding => ({
      level: "note",
      about: "config",
      message,
    })),
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
    findings: readonly Finding[];
  },
  io: Output,
): void {
  const { endpoints, entrypoints, subscriptions } = countParts(config);
  const counts = [
    count(endpoints, "endpoint"),
    count(entrypoints, "entrypoint"),
    count(subscriptions, "subscription"),
  ];
  io.stdout(`${clean(path)} is valid: ${counts.join(", ")}\n`);
  for (const finding of findings.filter(isAboutFile)) show(finding, io);
  if (server !== null) io.stdout(`Connected to ${clean(`${server.url}, nats-server ${server.version}`)}\n`);
  for (const finding of findings.filter((finding) => !isAboutFile(finding))) show(finding, io);
}

function isAboutFile({ about }: Finding): boolean {
  return about === "config";
}

function show(finding: Finding, io: Output): void {
  const { level, about, message } = finding;
  const write = level === "error" ? io.stderr : io.stdout;
  write(`  ${level}: ${clean(`${isAboutFile(finding) ? "" : `${about}: `}${message}`)}\n`);
}

function countParts({ endpointCount, entrypoints, subscriptions }: Config) {
  return {
    endpoints: endpointCount,
    entrypoints: entrypoints.length,
    subscriptions: subscriptions.length,
  };
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

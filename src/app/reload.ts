// Reloads the config, whole or not at all, one reload after the other.
//
//   file at fault                                -> nothing changes
//   another `host`, `server`, `nats` or `state`  -> nothing changes: restart the relay to use it
//   anything else                                -> only what changed

import { isDeepStrictEqual } from "node:util";

import { describeIssue } from "#schema/issue.ts";
import { loadSettledConfig } from "#config/load.ts";
import type { Config } from "#config/resolve.ts";
import type { ReloadOutcome } from "#http/reload.ts";
import { messageOf, RelayError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import type { Plan } from "#runtime/reconcile.ts";
import type { Taken } from "./core.ts";

interface ReloaderOptions {
  readonly path: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  /** Applies a config; resolves with a line for each change. Rejects with a RelayError and no change. */
  readonly apply: (next: Config) => Promise<readonly string[]>;
  /** The relay stops: load nothing more. */
  readonly signal: AbortSignal;
}

interface Reloader {
  /** Callers share a reload that waits for its turn. */
  readonly reload: () => Promise<ReloadOutcome>;
  /** Why the last reload was refused; null: it was not. */
  readonly refused: () => string | null;
}

export function createReloader({ path, env, logger, apply, signal }: ReloaderOptions): Reloader {
  let refused: string | null = null;
  let last: Promise<unknown> = Promise.resolve();
  let waiting: Promise<ReloadOutcome> | null = null;

  async function reloadNow(): Promise<ReloadOutcome> {
    waiting = null;
    try {
      if (signal.aborted) throw new RelayError("unavailable", "Cannot reload: the relay is stopping");
      const next = await loadSettledConfig(path, { env, signal });
      const changes = await apply(next);
      refused = null;
      logger.info("Config reloaded", { changes: changes.length === 0 ? ["nothing changed"] : changes });
      const warnings = next.warnings.map(describeIssue);
      if (changes.length > 0) for (const warning of warnings) logger.warn(warning);
      return { kind: "applied", changes, warnings };
    } catch (error) {
      if (!(error instanceof RelayError)) throw error;
      refused = messageOf(error);
      logger.error("Config refused, the running one stays active", { reason: refused });
      return { kind: "refused", report: refused };
    }
  }

  return {
    reload() {
      if (waiting !== null) return waiting;
      waiting = last.then(reloadNow);
      last = waiting.catch(() => undefined);
      return waiting;
    },
    refused: () => refused,
  };
}

/** Compares the resolved settings: `origin` holds the time of loading. */
export function isSameConfig(left: Config, right: Config): boolean {
  return isDeepStrictEqual(comparable(left), comparable(right));
}

function comparable({ origin, nats, references: _references, ...config }: Config): unknown {
  return { ...config, nats: comparableNats({ origin, nats }), file: origin.file };
}

/** Each connection reads credentials again: only their location counts. */
function comparableNats({ origin, nats }: Pick<Config, "origin" | "nats">): object {
  const { auth, name: _name, ...settings } = nats;
  return { ...settings, auth: auth.kind === "creds" ? origin.file.nats.auth : auth };
}

/** The changed keys that need a restart; empty: none. */
export function listFixedChanges(left: Config, right: Config): readonly string[] {
  const before = fixedOf(left);
  const after = fixedOf(right);
  return Object.keys(after).filter((key) => !isDeepStrictEqual(before[key], after[key]));
}

function fixedOf(config: Config): Readonly<Record<string, unknown>> {
  const parts = {
    host: config.host,
    server: config.server,
    nats: comparableNats(config),
    state: config.state,
  };
  const pairs = Object.entries(parts).flatMap(([part, settings]) =>
    Object.entries(settings).map(([key, value]: [string, unknown]) => [`${part}.${key}`, value] as const),
  );
  return Object.fromEntries(pairs);
}

/** The changed settings that apply at once. */
export function describeSettings(before: Config, after: Config): readonly string[] {
  const keys = ["fleet", "deliveryLog", "telemetry", "shutdown", "logs", "entrypoints"] as const;
  return keys
    .filter((key) => !isDeepStrictEqual(before[key], after[key]))
    .map((key) => `Settings changed: ${key}`);
}

/** Why a config was refused: `keys` need a restart. */
export function describeRefusal(keys: readonly string[]): string {
  return `Cannot change ${keys.join(", ")} while the relay runs: restart it to use this config`;
}

export function describeTaken({ plans, isSettled }: Taken): readonly string[] {
  return [...plans.flatMap(describePlan), ...(isSettled ? [] : ["Requests in flight still end"])];
}

function describePlan({ start, stop, update, replace }: Plan): readonly string[] {
  const idsOf = (subscriptions: Plan["start"]) => subscriptions.map(({ id }) => id);
  return [
    ...idsOf(start).map((id) => `Subscription ${id} started`),
    ...stop.map((id) => `Subscription ${id} stopped`),
    ...idsOf(update).map((id) => `Subscription ${id} changed without interruption`),
    ...idsOf(replace).map((id) => `Subscription ${id} changed and restarted`),
  ];
}

// The valid file in delivery's words: every default applied, every reference followed, every secret looked up.

import { join, resolve } from "node:path";
import type { Qos } from "#delivery/policy.ts";
import type { Subscription } from "#delivery/subscription.ts";
import type { LogFormat, LogLevel } from "#lib/logger.ts";
import { parseListen } from "./check-host.ts";
import { contextPathOf, entrypointId } from "./references.ts";
import { resolveSubscriptions } from "./resolve-subscription.ts";
import type { ConfigFile } from "./schema.ts";
import type { Secret } from "./schema-secret.ts";
import { type ConfigContext, readSecret, type Secrets } from "./secrets.ts";

export interface Config {
  readonly nats: NatsConfig;
  readonly server: ServerConfig;
  readonly state: {
    /** Absolute. */
    readonly directory: string;
    readonly bucket: string;
  };
  readonly shutdown: { readonly graceMs: number };
  readonly logs: { readonly level: LogLevel; readonly format: LogFormat };
  readonly entrypoints: readonly EntrypointConfig[];
  readonly subscriptions: readonly Subscription[];
  readonly endpointCount: number;
  /** What must never be shown. */
  readonly secrets: readonly string[];
  readonly warnings: readonly string[];
  /** A line for each key that is set, but does nothing yet. */
  readonly unused: readonly string[];
}

export interface NatsConfig {
  readonly servers: readonly string[];
  readonly auth: NatsAuthConfig;
  readonly tls: {
    readonly caFile: string | null;
    readonly certFile: string | null;
    readonly keyFile: string | null;
    readonly handshakeFirst: boolean;
  } | null;
  readonly inboxPrefix: string;
  /** What the server's monitoring shows. */
  readonly name: string;
}

export type NatsAuthConfig =
  | { readonly kind: "none" }
  | { readonly kind: "user"; readonly username: string; readonly password: string }
  | { readonly kind: "token"; readonly value: string }
  | { readonly kind: "nkey"; readonly seed: string }
  /** `read` gives the content as it is now; it throws if it is gone. */
  | { readonly kind: "creds"; readonly read: () => string };

export interface ServerConfig {
  /** null: no TCP listener. An IPv6 host is without brackets. */
  readonly listen: { readonly host: string; readonly port: number } | null;
  /** Absolute path of the unix socket. */
  readonly controlSocket: string;
}

export interface EntrypointConfig {
  readonly id: string;
  readonly contextPath: string;
  readonly qos: Qos;
}

export interface ResolveScope {
  readonly context: ConfigContext;
  readonly secrets: Secrets;
}

export function resolveConfig(
  file: ConfigFile,
  { context, secrets, ...notes }: ResolveScope & { warnings: readonly string[]; unused: readonly string[] },
): Config {
  const scope = { context, secrets };
  const directory = resolveStateDirectory(file, context);
  const { subscriptions, hidden } = resolveSubscriptions(file, scope);
  return {
    nats: resolveNats(file, scope),
    server: {
      listen: file.server.listen === null ? null : parseListen(file.server.listen),
      controlSocket: resolveControlSocket(file, { context, directory }),
    },
    state: { directory, bucket: file.state.bucket },
    shutdown: { graceMs: file.shutdown.graceSeconds * 1000 },
    logs: file.logs,
    entrypoints: file.entrypoints.map((entrypoint) => ({
      id: entrypointId(entrypoint) ?? entrypoint.type,
      contextPath: contextPathOf(entrypoint) ?? `/${entrypoint.type}`,
      qos: entrypoint.qos,
    })),
    subscriptions,
    endpointCount: file.endpoints.length,
    secrets: [...new Set([...secrets.hidden, ...hidden])].filter((secret) => secret !== ""),
    ...notes,
  };
}

function resolveNats({ nats }: ConfigFile, scope: ResolveScope): NatsConfig {
  const toPath = (path: string | undefined) =>
    path === undefined ? null : resolve(scope.context.directory, path);
  return {
    servers: nats.servers,
    auth: resolveNatsAuth(nats.auth, scope),
    tls:
      nats.tls === undefined
        ? null
        : {
            caFile: toPath(nats.tls.caFile),
            certFile: toPath(nats.tls.certFile),
            keyFile: toPath(nats.tls.keyFile),
            handshakeFirst: nats.tls.handshakeFirst,
          },
    inboxPrefix: nats.inboxPrefix,
    name: `relay ${scope.context.hostName}`,
  };
}

function resolveNatsAuth(
  auth: ConfigFile["nats"]["auth"],
  { context, secrets }: ResolveScope,
): NatsAuthConfig {
  switch (auth.type) {
    case "none":
      return { kind: "none" };
    case "user":
      return {
        kind: "user",
        username: valueOf(auth.username, secrets),
        password: valueOf(auth.password, secrets),
      };
    case "token":
      return { kind: "token", value: valueOf(auth.value, secrets) };
    case "nkey":
      return { kind: "nkey", seed: valueOf(auth.seed, secrets).trim() };
    case "creds": {
      const { source } = auth.content;
      const read = () => {
        const result = readSecret(source, context);
        if (result.kind === "missing") throw new Error(`Cannot read nats.auth.content: ${result.message}`);
        return result.value;
      };
      return { kind: "creds", read };
    }
  }
}

/** The placeholder stands only where references are not looked up. */
function valueOf(secret: Secret, secrets: Secrets): string {
  return secrets.valueOf(secret) ?? "";
}

function resolveStateDirectory(file: ConfigFile, { directory, env }: ConfigContext): string {
  // systemd joins several directories by colons.
  const given = env["STATE_DIRECTORY"]?.split(":")[0];
  return resolve(directory, file.state.directory ?? (given === undefined || given === "" ? ".relay" : given));
}

function resolveControlSocket(
  file: ConfigFile,
  { context, directory }: { context: ConfigContext; directory: string },
): string {
  if (file.server.controlSocket !== undefined) return resolve(context.directory, file.server.controlSocket);
  const runtime = context.env["RUNTIME_DIRECTORY"]?.split(":")[0];
  return join(runtime === undefined || runtime === "" ? directory : runtime, "relay.sock");
}

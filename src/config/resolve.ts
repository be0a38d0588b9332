// Resolves the valid file to a `Config`: defaults applied, references followed, secrets read.

import { resolve } from "node:path";
import type { Header } from "#delivery/message.ts";
import type { Qos } from "#delivery/policy.ts";
import type { RecordSettings } from "#delivery/record.ts";
import type { Subscription } from "#delivery/subscription.ts";
import type { LogFormat, LogLevel } from "#lib/logger.ts";
import type { ConfigFile } from "#schema/file.ts";
import { toHostName } from "#schema/host.ts";
import type { Issue } from "#schema/issue.ts";
import type { Secret } from "#schema/secret.ts";
import type { ReferenceUse } from "./plain-references.ts";
import { contextPathOf, entrypointId } from "./references.ts";
import type { ResolveScope } from "./resolve-callback.ts";
import { toLogBounds, toLogging, toSampling } from "./resolve-record.ts";
import { resolveServer, type ServerConfig } from "./resolve-server.ts";
import { resolveSubscription } from "./resolve-subscription.ts";
import { readSecret, type Secrets } from "./secrets.ts";
import { stateDirectoryOf } from "./state-paths.ts";

export interface Config {
  readonly host: { readonly name: string };
  readonly nats: NatsConfig;
  readonly fleet: { readonly enabled: boolean; readonly prefix: string };
  readonly server: ServerConfig;
  readonly state: {
    /** Absolute. */
    readonly directory: string;
    readonly bucket: string;
    /** 32 bytes; null: the bucket stores no secrets. */
    readonly key: Uint8Array | null;
  };
  readonly deliveryLog: {
    readonly maxAgeMs: number;
    readonly maxBytes: number;
    /** null: records are not published. */
    readonly publishSubject: string | null;
  };
  /** Null: nothing is traced. */
  readonly telemetry: TelemetryConfig | null;
  readonly shutdown: { readonly graceMs: number };
  readonly logs: { readonly level: LogLevel; readonly format?: LogFormat | undefined };
  readonly entrypoints: readonly EntrypointConfig[];
  readonly subscriptions: readonly Subscription[];
  readonly endpointCount: number;
  /** Resolves later subscriptions (by API) in the same way. */
  readonly origin: ConfigOrigin;
  /** In the order of the file. */
  readonly warnings: readonly Issue[];
  /** The references of the file, and where each points. */
  readonly references: readonly {
    readonly path: string;
    readonly source: ReferenceUse["source"];
  }[];
}

interface TelemetryConfig {
  /** Where spans are sent, `/v1/traces` included. */
  readonly url: URL;
  readonly headers: readonly Header[];
  /** From 0 to 1. */
  readonly sampleRatio: number;
}

interface NatsConfig {
  readonly servers: readonly string[];
  readonly auth: NatsAuthConfig;
  readonly tls: {
    readonly caFile: string | null;
    readonly certFile: string | null;
    readonly keyFile: string | null;
    readonly handshakeFirst: boolean;
  } | null;
  readonly inboxPrefix: string;
  /** The connection's name in the server's monitoring. */
  readonly name: string;
}

type NatsAuthConfig =
  | { readonly kind: "none" }
  | { readonly kind: "user"; readonly username: string; readonly password: string }
  | { readonly kind: "token"; readonly value: string }
  | { readonly kind: "nkey"; readonly seed: string }
  /** `read` returns the present content of the file, and throws if it cannot be read. */
  | { readonly kind: "creds"; readonly read: () => string };

export interface EntrypointConfig {
  readonly id: string;
  readonly contextPath: string;
  readonly qos: Qos;
  readonly recording: RecordSettings;
}

/** The sources of a config: the valid file, and the values of its references when it was loaded. */
export interface ConfigOrigin extends ResolveScope {
  readonly file: ConfigFile;
}

export function resolveConfig(
  file: ConfigFile,
  { context, secrets, stores, ...notes }: ResolveScope & Pick<Config, "warnings" | "references">,
): Config {
  const scope = { context, secrets, stores };
  const directory = stateDirectoryOf(file.state.directory, context);
  const host = { name: file.host.name ?? toHostName(context.hostName) };
  return {
    host,
    fleet: file.fleet,
    nats: resolveNats(file, { ...scope, host: host.name }),
    server: resolveServer(file, { ...scope, stateDirectory: directory }),
    state: { directory, bucket: file.state.bucket, key: resolveStateKey(file, secrets) },
    deliveryLog: toLogBounds(file.deliveryLog),
    telemetry: resolveTelemetry(file, secrets),
    shutdown: { graceMs: file.shutdown.graceSeconds * 1000 },
    logs: file.logs,
    entrypoints: file.entrypoints.map((entrypoint) => ({
      id: entrypointId(entrypoint) ?? entrypoint.type,
      contextPath: contextPathOf(entrypoint) ?? `/${entrypoint.type}`,
      qos: entrypoint.qos,
      recording: {
        logging: toLogging(entrypoint.configuration.logging),
        sampling: toSampling(entrypoint.configuration.sampling),
      },
    })),
    subscriptions: file.subscriptions.map((entry) =>
      resolveSubscription(file, { entry, scope, origin: "file" }),
    ),
    endpointCount: file.endpoints.length,
    origin: { ...scope, file },
    ...notes,
  };
}

function resolveStateKey({ state }: ConfigFile, secrets: Secrets): Uint8Array | null {
  const text = state.key === undefined ? undefined : secrets.valueOf(state.key);
  return text === undefined ? null : Buffer.from(text, "base64");
}

function resolveTelemetry({ telemetry }: ConfigFile, secrets: Secrets): TelemetryConfig | null {
  if (telemetry === undefined) return null;
  const { endpoint, headers, sampleRatio } = telemetry;
  return {
    url: new URL("v1/traces", endpoint.endsWith("/") ? endpoint : `${endpoint}/`),
    headers: headers.map(({ name, value }) => [name, valueOf(value, secrets)] as const),
    sampleRatio,
  };
}

export function resolveNats(
  { nats }: Pick<ConfigFile, "nats">,
  scope: Pick<ResolveScope, "context" | "secrets"> & { readonly host: string },
): NatsConfig {
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
    name: `relay ${scope.host}`,
  };
}

function resolveNatsAuth(
  auth: ConfigFile["nats"]["auth"],
  { context, secrets }: Pick<ResolveScope, "context" | "secrets">,
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

/** Empty only if references are not looked up. */
function valueOf(secret: Secret, secrets: Secrets): string {
  return secrets.valueOf(secret) ?? "";
}

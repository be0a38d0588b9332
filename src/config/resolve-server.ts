// Resolves `server` to its runtime settings: listeners, TLS, authentication.

import { resolve } from "node:path";
import type { ConfigFile } from "#schema/file.ts";
import type { Secret } from "#schema/secret.ts";
import { isLoopback, parseListen } from "./check-host.ts";
import { parseKeyFile, type VerificationKey } from "./key-file.ts";
import type { ConfigContext, Secrets } from "./secrets.ts";
import { controlSocketOf } from "./state-paths.ts";

export interface ServerConfig {
  /** null: no TCP listener. */
  readonly listen: ListenAddress | null;
  /** null: plain HTTP. */
  readonly tls: ServerTls | null;
  readonly auth: ServerAuth;
  /** Absolute path of the unix socket. */
  readonly controlSocket: string;
}

interface ListenAddress {
  /** Without brackets, also for IPv6. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** True: only this host can reach the address. */
  readonly isLoopback: boolean;
}

/** Absolute paths of PEM files. */
export interface ServerTls {
  readonly certFile: string;
  readonly keyFile: string;
}

export type ServerAuth =
  | { readonly kind: "none" }
  | { readonly kind: "token"; readonly value: string }
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  | {
      readonly kind: "jwt";
      readonly keys: TokenKeys;
      readonly issuer: string;
      readonly audience: string;
    };

type TokenKeys =
  | { readonly kind: "jwks"; readonly uri: URL }
  /** `keys`: the content of the file when the config was loaded. */
  | { readonly kind: "file"; readonly path: string; readonly keys: readonly VerificationKey[] };

interface ServerScope {
  readonly context: ConfigContext;
  readonly secrets: Secrets;
  /** Absolute. */
  readonly stateDirectory: string;
}

export function resolveServer(
  { server }: ConfigFile,
  { context, secrets, stateDirectory }: ServerScope,
): ServerConfig {
  const { listen, tls, controlSocket } = server;
  const toPath = (path: string) => resolve(context.directory, path);
  return {
    listen: listen === null ? null : toListenAddress(listen),
    tls: tls === undefined ? null : { certFile: toPath(tls.certFile), keyFile: toPath(tls.keyFile) },
    auth: resolveAuth(server.auth, { context, secrets }),
    controlSocket: controlSocketOf(controlSocket, { context, stateDirectory }),
  };
}

function toListenAddress(listen: string): ListenAddress {
  const { host, port } = parseListen(listen);
  return { host, port, isLoopback: isLoopback(host) };
}

function resolveAuth(
  auth: ConfigFile["server"]["auth"],
  { context, secrets }: { context: ConfigContext; secrets: Secrets },
): ServerAuth {
  // Empty only if references are not looked up.
  const valueOf = (secret: Secret) => secrets.valueOf(secret) ?? "";
  switch (auth.type) {
    case "none":
      return { kind: "none" };
    case "token":
      return { kind: "token", value: valueOf(auth.value) };
    case "basic":
      return { kind: "basic", username: valueOf(auth.username), password: valueOf(auth.password) };
    case "jwt": {
      const { issuer, audience, jwksUri } = auth;
      const keys: TokenKeys =
        jwksUri === undefined
          ? readKeys(resolve(context.directory, auth.keyFile ?? ""), context)
          : { kind: "jwks", uri: new URL(jwksUri) };
      return { kind: "jwt", keys, issuer, audience };
    }
  }
}

function readKeys(path: string, context: ConfigContext): TokenKeys {
  if (context.withoutSecrets || context.looksUp !== undefined) return { kind: "file", path, keys: [] };
  const file = parseKeyFile(context.readFile(path));
  if (file.kind === "unusable") throw new Error(`Cannot read server.auth.keyFile: ${file.message}`);
  return { kind: "file", path, keys: file.keys };
}

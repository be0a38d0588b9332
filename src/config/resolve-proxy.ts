// The way to the callbacks of an entrypoint: direct, through a proxy of its own, or through the system's.

import type { Proxy, ProxyRule } from "#delivery/callback.ts";
import type { ResolveScope } from "./resolve.ts";
import type { ConfigFile, Entrypoint } from "./schema.ts";
import { readProxyEnvironment } from "./proxy-environment.ts";

type ProxySettings = Entrypoint["configuration"]["proxy"];

/** The checks have seen that what is asked for is there. */
export function resolveProxyRule(
  settings: ProxySettings,
  { file, scope }: { file: ConfigFile; scope: ResolveScope },
): ProxyRule {
  if (!settings.enabled) return { kind: "none" };
  if (settings.useSystemProxy) return resolveSystemProxy(file, scope);
  const { type = "HTTP", host = "", port = 0 } = settings;
  return { kind: "fixed", proxy: toProxy({ ...settings, type, host, port, noProxy: [] }, scope) };
}

function resolveSystemProxy({ system }: ConfigFile, scope: ResolveScope): ProxyRule {
  if (system.proxy === undefined) {
    const environment = readProxyEnvironment(scope.context.env);
    return environment.kind === "found" ? environment.rule : { kind: "none" };
  }
  const proxy = toProxy(system.proxy, scope);
  return { kind: "system", http: proxy, https: proxy, noProxy: system.proxy.noProxy };
}

function toProxy(
  { type, host, port, username, password }: NonNullable<ConfigFile["system"]["proxy"]>,
  { secrets }: ResolveScope,
): Proxy {
  return {
    type: TYPES[type],
    host: host.replace(/^\[(.*)\]$/u, "$1"),
    port,
    username: username === undefined ? null : (secrets.valueOf(username) ?? ""),
    password: password === undefined ? null : (secrets.valueOf(password) ?? ""),
  };
}

const TYPES = { HTTP: "http", SOCKS4: "socks4", SOCKS5: "socks5" } as const;

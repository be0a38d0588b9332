// Checks `nats`, `server`, `state`, `telemetry` and `callbacks` beyond their schemas.

import { isIP } from "node:net";
import type { Fault, Path } from "#schema/issue.ts";
import type { Secret } from "#schema/secret.ts";
import type { SoundFile } from "#schema/validate.ts";
import { checkCallback, checkUrl } from "./check-callback.ts";
import { checkNats } from "./check-nats.ts";
import { checkControlSocket, checkServerAuth, checkServerTls } from "./check-server.ts";
import type { ConfigContext } from "./secrets.ts";

interface HostScope {
  readonly context: ConfigContext;
  readonly valueOf: (secret: Secret) => string | undefined;
}

export function checkHost(file: SoundFile, scope: HostScope): Fault[] {
  return [
    ...checkNats(file, scope),
    ...checkServer(file, scope),
    ...checkControlSocket(file, scope.context),
    ...checkStateKey(file, scope),
    ...checkTelemetry(file, scope),
    ...checkRanges(file.callbacks?.deny ?? [], ["callbacks", "deny"]),
    ...checkRanges(file.callbacks?.allow ?? [], ["callbacks", "allow"]),
  ];
}

function checkServer({ server = {} }: SoundFile, scope: HostScope): Fault[] {
  const { auth, listen } = server;
  const faults: Fault[] = [...checkServerTls(server, scope), ...checkServerAuth(server, scope)];
  if (typeof listen !== "string") return faults;
  const { host, port } = parseListen(listen);
  if (!isPort(String(port), 0)) {
    faults.push({ path: ["server", "listen"], message: "allowed: a port from 0 to 65535; 0: any free one" });
  }
  if (auth?.type !== "none" || isLoopback(host)) return faults;
  const message = `type none is allowed on a loopback address only, and server.listen is ${listen}; allowed here: token, basic, jwt`;
  const suggestion = 'write "auth": { "type": "token", "value": { "env": "RELAY_TOKEN" } } into server';
  return [...faults, { path: ["server", "auth", "type"], message, suggestion }];
}

/** Splits `host:port`, and drops the brackets of an IPv6 address. */
export function parseListen(listen: string): { host: string; port: number } {
  const colon = listen.lastIndexOf(":");
  return { host: listen.slice(0, colon).replace(/^\[(.*)\]$/u, "$1"), port: Number(listen.slice(colon + 1)) };
}

function isPort(text: string, min: number): boolean {
  return Number(text) >= min && Number(text) <= 65_535;
}

/** True: only this host can reach the address. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === "localhost") return true;
  return isIP(host) === 4 ? host.startsWith("127.") : /^(?:0{0,4}:){2,7}0{0,3}1$/u.test(host);
}

function checkStateKey({ state }: SoundFile, { valueOf }: HostScope): Fault[] {
  const key = state?.key === undefined ? undefined : valueOf(state.key);
  if (key === undefined || (/^[A-Za-z0-9+/]{43}=?$/u.test(key) && Buffer.from(key, "base64").length === 32))
    return [];
  return [{ path: ["state", "key"], message: "allowed: 32 bytes in base64" }];
}

function checkTelemetry({ telemetry }: SoundFile, scope: HostScope): Fault[] {
  if (telemetry === undefined) return [];
  const { endpoint, headers } = telemetry;
  return [
    ...(typeof endpoint === "string" ? checkCollector(endpoint) : []),
    ...checkCallback({ headers }, { pathOf: (key) => ["telemetry", key], scope }),
  ];
}

function checkCollector(endpoint: string): Fault[] {
  const path = ["telemetry", "endpoint"];
  const faults = checkUrl(endpoint, path);
  if (faults.length > 0) return faults;
  const { origin, pathname, search, hash } = new URL(endpoint);
  if (search !== "" || hash !== "") {
    const message = "a query in this URL is not allowed: use headers";
    return [{ path, message, suggestion: `write ${origin}${pathname.replace(/\/$/u, "")}` }];
  }
  const [, before = null] = /^(.*)\/v1\/[a-z]+\/?$/u.exec(pathname) ?? [];
  if (before === null) return [];
  return [{ path, message: "Relay adds /v1/traces to this URL", suggestion: `write ${origin}${before}` }];
}

function checkRanges(ranges: readonly (string | undefined)[], path: Path): Fault[] {
  return ranges.flatMap((range, index) => {
    if (range === undefined || isRange(range)) return [];
    return [{ path: [...path, index], message: "allowed: an IP address or a range such as 10.0.0.0/8" }];
  });
}

function isRange(range: string): boolean {
  const [address = "", bits] = range.split("/");
  const version = isIP(address);
  return version !== 0 && (bits === undefined || Number(bits) <= (version === 4 ? 32 : 128));
}

// Chooses the proxy for a URL.

import type { Proxy, ProxyRule } from "./callback.ts";
import { isInRange, parseAddress, parseRange } from "./ip-range.ts";

/** Null: the URL is reached directly. */
export function proxyFor(url: URL, rule: ProxyRule): Proxy | null {
  switch (rule.kind) {
    case "none":
      return null;
    case "fixed":
      return rule.proxy;
    case "system":
      if (isExempt(url, rule.noProxy)) return null;
      return url.protocol === "https:" ? rule.https : rule.http;
  }
}

/** `http:` through an HTTP proxy is forwarded by it (RFC 9112, 3.2.2): the answer may be the proxy's own. */
export function isForwarded<P extends Pick<Proxy, "type">>(url: URL, proxy: P | null): proxy is P {
  return proxy?.type === "http" && url.protocol === "http:";
}

/**
 * As curl reads `NO_PROXY`: a name stands for itself and all below it, with or without a dot before it; an address or a
 * range for addresses that are written in the URL, for no name is resolved; `*` for everything. Each may end in a port.
 */
function isExempt(url: URL, noProxy: readonly string[]): boolean {
  const host = withoutLastDot(withoutBrackets(url.hostname.toLowerCase()));
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  return noProxy.some((entry) => {
    const meant = toExemption(entry.trim().toLowerCase());
    if (meant.port !== null && meant.port !== port) return false;
    return meant.host === "*" || isSameAddress(host, meant.host) || isSameOrBelow(host, meant.host);
  });
}

/** A bare IPv6 address has no port. */
function toExemption(entry: string): { readonly host: string; readonly port: string | null } {
  const [, address, length = "", addressPort = null] = /^\[([^\]]*)\](\/\d+)?(?::(\d+))?$/u.exec(entry) ?? [];
  if (address !== undefined) return { host: address + length, port: addressPort };
  const [, host = entry, port = null] = /^([^:]*):(\d+)$/u.exec(entry) ?? [];
  return { host, port };
}

function isSameAddress(host: string, entry: string): boolean {
  const address = parseAddress(host);
  const range = address === null ? null : parseRange(entry);
  return address !== null && range !== null && isInRange(address, range);
}

function isSameOrBelow(host: string, entry: string): boolean {
  const name = withoutLastDot(entry.replace(/^\*?\./u, ""));
  return name !== "" && (host === name || (parseAddress(host) === null && host.endsWith(`.${name}`)));
}

function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/u, "$1");
}

function withoutLastDot(hostname: string): string {
  return hostname.replace(/\.$/u, "");
}

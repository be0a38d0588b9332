// The target of the request line: a path, or the whole URL if an HTTP proxy forwards the request. PURE.

import type { Proxy } from "#delivery/callback.ts";
import { isForwarded } from "#delivery/proxy.ts";

export interface Target {
  readonly path: string;
  /** Headers for the proxy; name and value alternating. */
  readonly headers: readonly string[];
  /** True: the answer may be the proxy's. */
  readonly isForwarded: boolean;
}

/** A request that is not forwarded gets a connection to the callback itself. */
export function toTarget(url: URL, proxy: Proxy | null): Target {
  const path = url.pathname + url.search;
  if (!isForwarded(url, proxy)) return { path, headers: [], isForwarded: false };
  const credentials = proxyAuthorization(proxy);
  return {
    path: url.origin + path,
    headers: credentials === null ? [] : ["Proxy-Authorization", credentials],
    isForwarded: true,
  };
}

/** Null: there are no credentials for the proxy. */
export function proxyAuthorization({ username, password }: Proxy): string | null {
  if (username === null) return null;
  return `Basic ${Buffer.from(`${username}:${password ?? ""}`, "utf8").toString("base64")}`;
}

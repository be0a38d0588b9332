// What a request line asks for: a path, or the whole URL of an HTTP proxy that is to fetch it.

import type { Proxy } from "#delivery/callback.ts";
import { isForwarded } from "#delivery/proxy.ts";

export interface Target {
  readonly path: string;
  /** For the proxy; name and value in turn. */
  readonly headers: readonly string[];
  /** True: the answer may be the proxy's own. */
  readonly isForwarded: boolean;
}

/** What is not forwarded has a connection of its own. */
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

/** Null: the proxy asks for none. */
export function proxyAuthorization({ username, password }: Proxy): string | null {
  if (username === null) return null;
  return `Basic ${Buffer.from(`${username}:${password ?? ""}`, "utf8").toString("base64")}`;
}

// The target of the request line: a path, or the whole URL if an HTTP proxy forwards the request. PURE.

import type { Proxy } from "#delivery/callback.ts";
import { isForwarded } from "#delivery/proxy.ts";
import type { RequestParts } from "#delivery/shape.ts";

export interface Target {
  readonly path: string;
  /** Headers for the proxy; name and value alternating. */
  readonly headers: readonly string[];
  /** True: the answer may be the proxy's. */
  readonly isForwarded: boolean;
}

/** Path and query that a message adds to the URL, already encoded. */
type Addition = Pick<RequestParts, "path" | "query">;

/** A request that is not forwarded gets a connection to the callback itself. */
export function toTarget(url: URL, proxy: Proxy | null, { path: more, query }: Addition = NOTHING): Target {
  const path = joinPath(url.pathname, more) + joinQuery(url.search, query);
  if (!isForwarded(url, proxy)) return { path, headers: [], isForwarded: false };
  const credentials = proxyAuthorization(proxy);
  return {
    path: url.origin + path,
    headers: credentials === null ? [] : ["Proxy-Authorization", credentials],
    isForwarded: true,
  };
}

const NOTHING: Addition = { path: "", query: "" };

function joinPath(path: string, more: string): string {
  return more === "" ? path : path.replace(/\/$/, "") + more;
}

function joinQuery(search: string, query: string): string {
  if (query === "") return search;
  return search === "" ? `?${query}` : `${search}&${query}`;
}

/** `displayUrl`: the origin alone if its path is a secret. */
export function toShownUrl(displayUrl: string, { path, query }: Addition): string {
  if (path === "" && query === "") return displayUrl;
  const isOrigin = /^[a-z]+:\/\/[^/]*$/.test(displayUrl);
  return joinPath(isOrigin ? `${displayUrl}/…` : displayUrl, path) + joinQuery("", query);
}

/** null: there are no credentials for the proxy. */
export function proxyAuthorization({ username, password }: Proxy): string | null {
  if (username === null) return null;
  return `Basic ${Buffer.from(`${username}:${password ?? ""}`, "utf8").toString("base64")}`;
}

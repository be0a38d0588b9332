// Reads the proxy from the environment as curl does: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`.

import type { Proxy, ProxyRule } from "#delivery/callback.ts";

type Environment = Readonly<Record<string, string | undefined>>;

type ProxyEnvironment =
  | { readonly kind: "none" }
  | { readonly kind: "found"; readonly rule: Extract<ProxyRule, { kind: "system" }> }
  /** `message` names the variable and hides its value, which may contain a password. */
  | { readonly kind: "invalid"; readonly message: string };

const SCHEMES: Readonly<Record<string, { type: Proxy["type"]; port: number }>> = {
  "http:": { type: "http", port: 80 },
  "socks4:": { type: "socks4", port: 1080 },
  "socks4a:": { type: "socks4", port: 1080 },
  "socks5:": { type: "socks5", port: 1080 },
  "socks5h:": { type: "socks5", port: 1080 },
};

export function readProxyEnvironment(env: Environment): ProxyEnvironment {
  const http = readVariable(env, ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]);
  const https = readVariable(env, ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]);
  for (const read of [http, https])
    if (read?.proxy === null) return { kind: "invalid", message: read.message };
  if (http === null && https === null) return { kind: "none" };
  const noProxy = (env["no_proxy"] ?? env["NO_PROXY"] ?? "").split(/[\s,]+/u).filter((part) => part !== "");
  const rule = { kind: "system", http: http?.proxy ?? null, https: https?.proxy ?? null, noProxy } as const;
  return { kind: "found", rule };
}

/** The first variable that is set. Lower case comes first, as in curl. */
function readVariable(
  env: Environment,
  names: readonly string[],
): { proxy: Proxy | null; message: string } | null {
  const name = names.find((candidate) => (env[candidate] ?? "") !== "");
  if (name === undefined) return null;
  const text = env[name] ?? "";
  const message = `${name} in the environment is no proxy; allowed: http://, socks4:// or socks5:// with host and port`;
  const href = text.includes("://") ? text : `http://${text}`;
  if (!URL.canParse(href)) return { proxy: null, message };
  const url = new URL(href);
  const scheme = SCHEMES[url.protocol];
  const username = decode(url.username);
  const password = decode(url.password);
  if (
    scheme === undefined ||
    url.hostname === "" ||
    url.port === "0" ||
    username === null ||
    password === null
  ) {
    return { proxy: null, message };
  }
  const proxy: Proxy = {
    type: scheme.type,
    host: url.hostname.replace(/^\[(.*)\]$/u, "$1"),
    port: url.port === "" ? scheme.port : Number(url.port),
    username: username === "" ? null : username,
    password: username === "" ? null : password,
  };
  return { proxy, message };
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

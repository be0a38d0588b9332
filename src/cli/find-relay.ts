// Finds the relay that a command asks: the one at `--url`, or the first control socket that answers.

import { lstatSync, readFileSync } from "node:fs";
import { connect, type NetConnectOpts } from "node:net";
import { dirname } from "node:path";
import { RelayError } from "#lib/errors.ts";
import { listSockets, type SocketPlaces } from "./control-sockets.ts";

export type RelayPlace =
  /** Another host, asked over NATS. */
  | {
      readonly kind: "host";
      readonly name: string;
      readonly send: (path: string, request: RequestInit) => Promise<Response>;
    }
  | { readonly kind: "socket"; readonly path: string }
  | {
      readonly kind: "url";
      /** Its path ends with a slash. */
      readonly url: URL;
      /** Null: there is none. */
      readonly token: string | null;
    };

export interface Whereabouts extends SocketPlaces {
  /** What `--url` says; undefined: nothing. */
  readonly url: string | undefined;
  readonly connectMs?: number;
}

type Reachability = "open" | "not found" | "connection refused" | "no permission" | "no answer";

const CONNECT_MS = 2000;

/** Rejects with a RelayError where no relay is found. */
export async function findRelay(whereabouts: Whereabouts): Promise<RelayPlace> {
  const { url, env, connectMs = CONNECT_MS } = whereabouts;
  if (url !== undefined) return findAtUrl(parseUrl(url), { token: readToken(env), connectMs });
  const tried: string[] = [];
  for (const path of listSockets(whereabouts)) {
    const found = await reach({ path }, connectMs);
    if (found === "open") return { kind: "socket", path };
    if (found === "no permission") throw new RelayError("unavailable", refusalOf(path));
    tried.push(`${path} (${found})`);
  }
  const way = "name its config with --config, or ask it over the network with --url";
  throw new RelayError("unavailable", `No relay is running here: tried ${tried.join(", ")}; ${way}`);
}

async function findAtUrl(
  url: URL,
  { token, connectMs }: { token: string | null; connectMs: number },
): Promise<RelayPlace> {
  const port = Number(url.port === "" ? (url.protocol === "https:" ? 443 : 80) : url.port);
  const host = url.hostname.replaceAll(/^\[|\]$/gu, "");
  const found = await reach({ host, port }, connectMs);
  if (found === "open") return { kind: "url", url, token };
  throw new RelayError("unavailable", `No relay is running at ${url.origin}: ${found}`);
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  const isPlain = url !== null && url.username + url.password + url.search + url.hash === "";
  if (!isPlain || !["http:", "https:"].includes(url.protocol)) {
    const allowed = "an http:// or https:// URL without user information, query and fragment";
    throw new RelayError("usage", `--url takes ${allowed}; a token is taken from RELAY_TOKEN`);
  }
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

function readToken(env: SocketPlaces["env"]): string | null {
  const token = env["RELAY_TOKEN"] ?? "";
  if (token === "") return null;
  if (/^[\x21-\x7E]{1,8192}$/u.test(token)) return token;
  throw new RelayError("usage", "RELAY_TOKEN holds something that no token can: a space, a line break, …");
}

async function reach(target: NetConnectOpts, limitMs: number): Promise<Reachability> {
  const { promise, resolve } = Promise.withResolvers<Reachability>();
  const socket = connect(target);
  const timer = setTimeout(() => resolve("no answer"), limitMs);
  socket.once("connect", () => resolve("open"));
  socket.once("error", (error: NodeJS.ErrnoException) => resolve(toReachability(error.code ?? "")));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function toReachability(code: string): Reachability {
  if (code === "EACCES" || code === "EPERM") return "no permission";
  if (code === "ECONNREFUSED" || code === "ENOTSOCK") return "connection refused";
  return ["ENOENT", "ENOTDIR", "ENOTFOUND"].includes(code) ? "not found" : "no answer";
}

/** Names who has permission, so that a user can be added to that group. */
function refusalOf(path: string): string {
  const group = groupOf(path) ?? groupOf(dirname(path));
  const who = group === null ? "root" : `root and members of the group ${group}`;
  return `Cannot ask the relay at ${path}: permission denied, it answers to ${who} only`;
}

/** Null: it cannot be told. */
function groupOf(path: string): string | null {
  try {
    const { gid } = lstatSync(path);
    const lines = readFileSync("/etc/group", "utf8").split("\n");
    const name = lines.map((line) => line.split(":")).find(([, , id]) => id === String(gid))?.[0];
    return name ?? String(gid);
  } catch {
    return null;
  }
}

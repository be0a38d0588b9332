// Protects against other pages in the browser of an operator: checks Host, Origin and Content-Type, sets security headers.

import { isReading } from "./access.ts";
import type { Caller } from "./caller.ts";
import type { Problem } from "./problem.ts";

export interface Listen {
  readonly host: string;
  /** True: nobody but this host reaches it, so that any other name leads there by DNS rebinding only. */
  readonly isLoopback: boolean;
}

type NetworkCaller = Extract<Caller, { kind: "network" }>;

const LOOPBACK_NAMES: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

/** Of every answer; a route that answers with a page sets its own `Content-Security-Policy`. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/**
 * On a loopback address `Host` must be that address or localhost. Elsewhere there are names that Relay cannot know, and
 * credentials are needed, which a browser does not send to a foreign name: any well-formed one will do.
 */
export function refuseHost(request: Request, { listen, caller }: Place): Problem | null {
  const host = parseHost(request.headers.get("host") ?? "", caller);
  if (host === null) return { status: 421, detail: "The Host of the request is missing or malformed" };
  if (!listen.isLoopback) return null;
  const own = [...LOOPBACK_NAMES, nameOf(listen.host)];
  if (host.port === caller.port && own.includes(host.name)) return null;
  return { status: 421, detail: "The Host of the request is neither the listen address nor localhost" };
}

interface Place {
  readonly listen: Listen;
  readonly caller: NetworkCaller;
}

/** A write of another page is refused, whether or not it carries credentials. */
export function refuseForeignWrite(request: Request, caller: NetworkCaller): Problem | null {
  if (isReading(request.method)) return null;
  const detail = "A page of another origin must not write here";
  if (request.headers.get("sec-fetch-site") === "cross-site") return { status: 403, detail };
  const origin = request.headers.get("origin");
  if (origin === null || isOwnOrigin(origin, request.headers.get("host") ?? "", caller)) return null;
  return { status: 403, detail };
}

/** Forms of other pages can send anything but this. */
export function refuseContentType({ method, headers }: Request): Problem | null {
  const hasBody = headers.has("transfer-encoding") || (headers.get("content-length") ?? "0") !== "0";
  if (isReading(method) || !hasBody) return null;
  if (/^application\/json\s*(?:;|$)/iu.test(headers.get("content-type") ?? "")) return null;
  return { status: 415, detail: "The body must be application/json" };
}

/** A challenge for `Basic` makes a browser ask for a password, even where a script of the page sent the request. */
export function withoutPrompt(problem: Problem, { headers }: Request): Problem {
  const challenge = problem.headers?.["www-authenticate"] ?? "";
  if (headers.get("sec-fetch-dest") !== "empty" || !challenge.startsWith("Basic ")) return problem;
  const silent = challenge.replace(/^Basic /u, "FormBased ");
  return { ...problem, headers: { ...problem.headers, "www-authenticate": silent } };
}

/** Without TLS of its own the listener may stand behind a proxy that has it: the scheme is not compared then. */
function isOwnOrigin(origin: string, host: string, { isSecure }: NetworkCaller): boolean {
  const page = URL.parse(origin);
  if (page === null || !(page.protocol === "https:" || (page.protocol === "http:" && !isSecure)))
    return false;
  return page.host === URL.parse(`${page.protocol}//${host}`)?.host;
}

function parseHost(text: string, { isSecure }: NetworkCaller): { name: string; port: number } | null {
  const match = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/iu.exec(text);
  if (match === null) return null;
  const [, name = "", port] = match;
  return { name: nameOf(name), port: port === undefined ? (isSecure ? 443 : 80) : Number(port) };
}

/** As URLs have it: in lower case, IPv6 shortened and in brackets. */
function nameOf(host: string): string {
  const bare = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  return URL.parse(`http://${bare}/`)?.hostname ?? bare.toLowerCase();
}

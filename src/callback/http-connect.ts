// Asks an HTTP proxy for a tunnel with CONNECT (RFC 9110, 9.3.6).

import type { Proxy } from "#delivery/callback.ts";
import { VERSION } from "#lib/version.ts";
import { type HandshakeStep, MORE } from "./proxy-handshake.ts";
import { proxyAuthorization } from "./target.ts";

/** `authority`: host and port, as in a URL. */
export function startConnect(proxy: Proxy, authority: string): HandshakeStep {
  const credentials = proxyAuthorization(proxy);
  const lines = [
    `CONNECT ${authority} HTTP/1.1`,
    `Host: ${authority}`,
    `User-Agent: relay/${VERSION}`,
    ...(credentials === null ? [] : [`Proxy-Authorization: ${credentials}`]),
    "",
    "",
  ];
  const refusal = credentials === null ? "asks for credentials" : "does not accept the credentials";
  return {
    kind: "say",
    bytes: Buffer.from(lines.join("\r\n"), "latin1"),
    used: 0,
    hear: (received) => hearAnswer(received, refusal),
  };
}

const START = "HTTP/1.";
const STATUS_LINE = /^HTTP\/1\.\d (\d{3})(?:[ \r\n])/u;
const HEAD_END = /\r?\n\r?\n/u;
/** Tinyproxy answers 401 to wrong credentials, though 407 is the status for proxies. */
const UNAUTHENTICATED: ReadonlySet<number> = new Set([401, 407]);

/** A 2xx has no body, whatever its headers say. */
function hearAnswer(received: Buffer, refusal: string): HandshakeStep {
  const text = received.toString("latin1");
  const isHttp = text.startsWith(START.slice(0, text.length));
  if (!isHttp) return { kind: "refused", reason: "does not speak HTTP" };
  const head = HEAD_END.exec(text);
  if (head === null) return MORE;
  const [, code] = STATUS_LINE.exec(text) ?? [];
  if (code === undefined) return { kind: "refused", reason: "does not speak HTTP" };
  const status = Number(code);
  const used = head.index + head[0].length;
  if (status >= 200 && status < 300) return { kind: "done", used };
  // An interim answer: the final one follows.
  if (status < 200) {
    return { kind: "say", bytes: NOTHING, used, hear: (rest) => hearAnswer(rest, refusal) };
  }
  const hint = UNAUTHENTICATED.has(status) ? `: it ${refusal}` : "";
  return { kind: "refused", reason: `answered ${status}${hint}` };
}

const NOTHING = new Uint8Array(0);

// Asks a SOCKS proxy for a tunnel: SOCKS 4, 4a and 5 (RFC 1928, 1929).

import { isIP, isIPv4 } from "node:net";

import type { Proxy } from "#delivery/callback.ts";
import { parseAddress } from "#delivery/ip-range.ts";
import { type HandshakeStep, MORE } from "./proxy-handshake.ts";

export interface Destination {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
}

const MAX_TEXT_BYTES = 255;
const CONNECT = 1;

const SOCKS4_ANSWER_BYTES = 8;
const SOCKS4_GRANTED = 90;
const SOCKS4_REFUSALS: Readonly<Record<number, string>> = {
  91: "refused the connection or could not open it",
  92: "refused the connection: it found no identd on this host",
  93: "does not accept the user name",
};
/** An invalid address: the name follows (SOCKS 4a). */
const NAME_FOLLOWS = [0, 0, 0, 1];

/** The answer is the same for 4 and 4a. */
export function startSocks4({ username }: Proxy, { host, port }: Destination): HandshakeStep {
  const user = username ?? "";
  if (user.includes("\0") || Buffer.byteLength(user) > MAX_TEXT_BYTES) return UNSENDABLE;
  const isAddress = isIPv4(host);
  return {
    kind: "say",
    bytes: Buffer.concat([
      Buffer.from([4, CONNECT, ...toPortBytes(port), ...(isAddress ? toAddressBytes(host) : NAME_FOLLOWS)]),
      Buffer.from(`${user}\0`),
      Buffer.from(isAddress ? "" : `${host}\0`),
    ]),
    used: 0,
    hear: hearSocks4,
  };
}

function hearSocks4(received: Buffer): HandshakeStep {
  const [version, status = 0] = received;
  if (version !== 0) return NOT_SOCKS_4;
  if (received.length < SOCKS4_ANSWER_BYTES) return MORE;
  if (status === SOCKS4_GRANTED) return { kind: "done", used: SOCKS4_ANSWER_BYTES };
  return { kind: "refused", reason: SOCKS4_REFUSALS[status] ?? `refused the connection with code ${status}` };
}

const WITHOUT_CREDENTIALS = 0;
const BY_PASSWORD = 2;
const NO_METHOD = 0xff;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;
const SOCKS5_REFUSALS: Readonly<Record<number, string>> = {
  1: "failed",
  2: "does not allow the connection",
  3: "cannot reach it: network unreachable",
  4: "cannot reach it: host unreachable",
  5: "cannot reach it: connection refused",
  6: "cannot reach it: no answer",
  7: "does not support CONNECT",
  8: "does not support this type of address",
};

export function startSocks5(proxy: Proxy, destination: Destination): HandshakeStep {
  const { username, password } = proxy;
  const texts = [username ?? "", password ?? "", destination.host];
  if (texts.some((text) => Buffer.byteLength(text) > MAX_TEXT_BYTES)) return UNSENDABLE;
  const methods = username === null ? [WITHOUT_CREDENTIALS] : [WITHOUT_CREDENTIALS, BY_PASSWORD];
  const request = toSocks5Request(destination);
  return {
    kind: "say",
    bytes: Buffer.from([5, methods.length, ...methods]),
    used: 0,
    hear: (received) => hearMethod(received, { proxy, request }),
  };
}

interface Socks5Request {
  readonly proxy: Proxy;
  readonly request: Uint8Array;
}

function hearMethod(received: Buffer, { proxy, request }: Socks5Request): HandshakeStep {
  const [version, method] = received;
  if (version !== 5) return NOT_SOCKS_5;
  if (method === undefined) return MORE;
  const hasCredentials = proxy.username !== null;
  if (method === WITHOUT_CREDENTIALS) return { kind: "say", bytes: request, used: 2, hear: hearSocks5 };
  if (method === BY_PASSWORD && hasCredentials) {
    return { kind: "say", bytes: toCredentials(proxy), used: 2, hear: (next) => hearVerdict(next, request) };
  }
  if (method !== NO_METHOD) return NOT_SOCKS_5;
  return {
    kind: "refused",
    reason: hasCredentials ? "does not support user name and password" : "asks for credentials",
  };
}

function hearVerdict(received: Buffer, request: Uint8Array): HandshakeStep {
  const [version, status] = received;
  if (version !== 1) return NOT_SOCKS_5;
  if (status === undefined) return MORE;
  if (status !== 0) return { kind: "refused", reason: "does not accept the credentials" };
  return { kind: "say", bytes: request, used: 2, hear: hearSocks5 };
}

/** Version, status, 0, the type of the proxy's address, that address, and a port. */
function hearSocks5(received: Buffer): HandshakeStep {
  const [version, status, , kind, nameLength] = received;
  if (version !== 5) return NOT_SOCKS_5;
  if (status === undefined) return MORE;
  if (status !== 0) {
    const reason = SOCKS5_REFUSALS[status] ?? `refused the connection with code ${status}`;
    return { kind: "refused", reason };
  }
  if (kind === undefined || nameLength === undefined) return MORE;
  const addressLengths: Readonly<Record<number, number>> = { [IPV4]: 4, [NAME]: 1 + nameLength, [IPV6]: 16 };
  const addressLength = addressLengths[kind];
  if (addressLength === undefined) return NOT_SOCKS_5;
  const used = 4 + addressLength + 2;
  return received.length < used ? MORE : { kind: "done", used };
}

function toSocks5Request({ host, port }: Destination): Uint8Array {
  const version = isIP(host);
  const name = Buffer.from(host);
  const address =
    version === 0 ? [NAME, name.length, ...name] : [version === 4 ? IPV4 : IPV6, ...toAddressBytes(host)];
  return Buffer.from([5, CONNECT, 0, ...address, ...toPortBytes(port)]);
}

function toCredentials({ username, password }: Proxy): Uint8Array {
  const user = Buffer.from(username ?? "");
  const secret = Buffer.from(password ?? "");
  return Buffer.from([1, user.length, ...user, secret.length, ...secret]);
}

function toAddressBytes(address: string): number[] {
  return parseAddress(address)?.toByteArray() ?? [];
}

function toPortBytes(port: number): [number, number] {
  return [port >> 8, port & 0xff];
}

const NOT_SOCKS_4: HandshakeStep = { kind: "refused", reason: "does not speak SOCKS 4" };
const NOT_SOCKS_5: HandshakeStep = { kind: "refused", reason: "does not speak SOCKS 5" };
const UNSENDABLE: HandshakeStep = {
  kind: "refused",
  reason: "cannot be asked: SOCKS cannot carry its user name, its password or the host name of the callback",
};

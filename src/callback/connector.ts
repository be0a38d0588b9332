// Opens one connection to the callback: resolves, connects (maybe by a proxy), starts TLS, all under one deadline.

import { isIP, isIPv4, type Socket } from "node:net";

import { createAddressCheck } from "#delivery/address.ts";
import type { Proxy, Route } from "#delivery/callback.ts";
import type { Exception } from "#delivery/outcome.ts";
import { proxyFor } from "#delivery/proxy.ts";
import { findDescriptorFault, isOutOfDescriptors, toDescriptorFault } from "#lib/descriptors.ts";
import { resolveHost } from "#lib/resolver.ts";
import { connectToFirst, createOpenedSockets, type OpenedSockets } from "./connect-tcp.ts";
import {
  toConnectException,
  toConnectReason,
  toDeniedException,
  toException,
  toProxyException,
  toTlsException,
} from "./exception.ts";
import { startConnect } from "./http-connect.ts";
import { ownAddresses } from "./own-addresses.ts";
import { type HandshakeStep, shakeHands } from "./proxy-handshake.ts";
import { type Destination, startSocks4, startSocks5 } from "./socks.ts";
import { createTlsHandshake } from "./tls.ts";

/** Calls `onEnd` once, later. The returned function gives the dial up, and `onEnd` is not called. */
export type Dial = (onEnd: (dialled: Dialled) => void) => () => void;

/** Nothing was read from the socket. */
export type Dialled =
  | { readonly kind: "connected"; readonly socket: Socket }
  | { readonly kind: "failed"; readonly exception: Exception };

interface DialSettings {
  readonly url: URL;
  readonly route: Route;
  /** For the operator's log. Exceptions, which tenants see, do not reveal the address behind a name. */
  readonly onDenied?: OnDenied | undefined;
}

export type OnDenied = (denied: { readonly host: string; readonly address: string }) => void;

/** State of one dial. */
interface Course {
  readonly sockets: OpenedSockets;
  step: "look-up" | "proxy" | "host";
}

const KEEP_ALIVE_PROBE_MS = 60_000;
/** Share of the connect timeout. */
const OWN_LOOK_UP_SHARE = 0.3;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

export function createDial({ url, route, onDenied = () => undefined }: DialSettings): Dial {
  const timeoutMs = route.connectTimeoutMs;
  const address = addressOf(url);
  const destination = destinationOf(url);
  const { host } = destination;
  const proxy = proxyFor(url, route.proxy);
  const isAllowed = createAddressCheck(route.addresses, ownAddresses);
  const secure = url.protocol === "https:" ? createTlsHandshake(route.tls, host) : null;

  async function connect(course: Course): Promise<Dialled> {
    // The proxy resolves names, so only an IP address can be checked here.
    if (isIP(host) !== 0 && !isAllowed(host)) return toFailed(toDeniedException(address, host));
    const reached = await (proxy === null ? reachHost(course) : reachProxy(proxy, course));
    if (reached.kind === "failed" || secure === null) return reached;
    course.step = "host";
    const secured = await secure(reached.socket, course.sockets);
    return secured.kind === "connected" ? secured : toFailed(toTlsException(secured.error, address));
  }

  async function reachHost(course: Course): Promise<Dialled> {
    const found = await lookUp(host, course);
    if (found instanceof Error) return toFailed(toConnectException(found, address));
    const allowed = found.filter(isAllowed);
    if (allowed.length === 0) return toDenied(found);
    const { port } = destination;
    const reached = await connectToFirst(allowed, { port, sockets: course.sockets });
    return reached.kind === "connected" ? reached : toFailed(toConnectException(reached.error, address));
  }

  function toDenied([denied = ""]: readonly string[]): Dialled {
    onDenied({ host, address: denied });
    return toFailed(toDeniedException(address, null));
  }

  /** Every failure is the proxy's (code `proxy`), except a denied address and a lack of file descriptors. */
  async function reachProxy(through: Proxy, course: Course): Promise<Dialled> {
    const fail = (reason: string) => toFailed(toProxyException(address, { proxy: through, reason }));
    const failToReach = (error: unknown) =>
      isOutOfDescriptors(error)
        ? toFailed(toConnectException(error, address))
        : fail(`cannot be reached: ${toConnectReason(error)}`);
    const known = through.type === "socks4" ? await findIpv4(course) : [];
    const allowed = known.filter(isAllowed);
    if (known.length > 0 && allowed.length === 0) return toDenied(known);
    const found = await lookUp(through.host, course);
    if (found instanceof Error) return failToReach(found);
    const reached = await connectToFirst(found, { port: through.port, sockets: course.sockets });
    if (reached.kind === "failed") return failToReach(reached.error);
    const first = startHandshake(through, allowed[0] ?? host);
    if (first === null) return reached;
    const end = await shakeHands(reached.socket, first);
    if (end.kind === "refused") return fail(end.reason);
    if (end.early.length > 0) reached.socket.unshift(end.early);
    return reached;
  }

  /** SOCKS 4 needs an address. Empty: none was found in time, so the proxy gets the name (SOCKS 4a). */
  async function findIpv4({ sockets }: Course): Promise<readonly string[]> {
    if (isIP(host) !== 0) return [];
    const late = AbortSignal.timeout(Math.ceil(timeoutMs * OWN_LOOK_UP_SHARE));
    try {
      const found = await resolveHost(host, AbortSignal.any([sockets.signal, late]));
      return found.filter(isIPv4);
    } catch {
      return [];
    }
  }

  /** null: no tunnel is needed, because the request line names the callback. */
  function startHandshake(through: Proxy, asked: string): HandshakeStep | null {
    const { port } = destination;
    switch (through.type) {
      case "http":
        return secure === null ? null : startConnect(through, address);
      case "socks4":
        return startSocks4(through, { host: asked, port });
      case "socks5":
        return startSocks5(through, destination);
    }
  }

  function toLateException(step: Course["step"]): Exception {
    const reason = `no connection within ${timeoutMs} ms`;
    if (step === "host" || proxy === null) {
      return toException("connect-timeout", `Cannot reach ${address}: ${reason}`);
    }
    return toProxyException(address, { proxy, reason: `gave ${reason}` });
  }

  return (onEnd) => {
    const sockets = createOpenedSockets();
    const course: Course = { sockets, step: proxy === null ? "host" : "proxy" };
    let hasEnded = false;

    const end = (dialled: Dialled | null) => {
      if (hasEnded) return;
      hasEnded = true;
      clearTimeout(timer);
      if (dialled?.kind !== "connected") sockets.destroyAll();
      if (dialled !== null) onEnd(dialled);
    };
    const timer = setTimeout(() => {
      // An aborted look-up has an exception of its own that says what it waited for.
      if (course.step === "look-up") sockets.destroyAll();
      else end(toFailed(toLateException(course.step)));
    }, timeoutMs);
    connect(course).then(
      (dialled) => {
        if (dialled.kind === "connected") tune(dialled.socket);
        end(dialled);
      },
      (error: unknown) => end(toFailed(toConnectException(error, address))),
    );
    return () => end(null);
  };
}

/** The addresses, or the error. */
async function lookUp(name: string, course: Course): Promise<readonly string[] | Error> {
  const fault = isIP(name) === 0 ? findDescriptorFault() : null;
  if (fault !== null) return fault;
  const { step } = course;
  course.step = "look-up";
  try {
    return await resolveHost(name, course.sockets.signal);
  } catch (error) {
    return toDescriptorFault(error instanceof Error ? error : new Error(String(error)));
  } finally {
    course.step = step;
  }
}

function toFailed(exception: Exception): Dialled {
  return { kind: "failed", exception };
}

function tune(socket: Socket): void {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
}

function destinationOf(url: URL): Destination {
  const port = url.port === "" ? (DEFAULT_PORTS[url.protocol] ?? 80) : Number(url.port);
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port };
}

/** Host and port, for messages. */
export function addressOf(url: URL): string {
  return url.port === "" ? `${url.hostname}:${DEFAULT_PORTS[url.protocol] ?? 80}` : url.host;
}

// One connection to the callback: its address, TCP, a proxy, TLS, in turn, under one exact deadline.

import { isIP, type Socket } from "node:net";

import { createAddressCheck } from "#delivery/address.ts";
import type { Route } from "#delivery/callback.ts";
import type { Exception } from "#delivery/outcome.ts";
import { proxyFor } from "#delivery/proxy.ts";
import { connectToHost, type Destination } from "./connect-tcp.ts";
import { type Dialled, toFailed } from "./dialled.ts";
import { toConnectException, toDeniedException, toException, toProxyException } from "./exception.ts";
import { ownAddresses } from "./own-addresses.ts";
import { createOpenedSockets, type OpenedSockets } from "./opened-sockets.ts";
import { openTunnel } from "./proxy-tunnel.ts";
import { createTlsStep } from "./tls-step.ts";

/** Calls `onEnd` once, later, unless the returned function is called first: that gives the connection up. */
export type Dial = (onEnd: (dialled: Dialled) => void) => () => void;

export interface DialSettings {
  readonly url: URL;
  readonly route: Route;
  /** For the operator: what the name stands for is in no exception. */
  readonly onDenied?: OnDenied | undefined;
}

export type OnDenied = (denied: { readonly host: string; readonly address: string }) => void;

const KEEP_ALIVE_PROBE_MS = 60_000;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

export function createDial({ url, route, onDenied = () => undefined }: DialSettings): Dial {
  const timeoutMs = route.connectTimeoutMs;
  const address = addressOf(url);
  const destination = destinationOf(url);
  const { host } = destination;
  const proxy = proxyFor(url, route.proxy);
  const isAllowed = createAddressCheck(route.addresses, ownAddresses);
  const secure = url.protocol === "https:" ? createTlsStep(route.tls, { host, address }) : null;

  async function connect(sockets: OpenedSockets): Promise<Dialled> {
    // A name is the proxy's to resolve; an address is known here.
    if (isIP(host) !== 0 && !isAllowed(host)) return toFailed(toDeniedException(address, host));
    if (proxy !== null) {
      return openTunnel({ proxy, destination, address, isTls: secure !== null }, sockets);
    }
    const reached = await connectToHost(destination, { isAllowed, sockets });
    switch (reached.kind) {
      case "connected":
        return reached;
      case "denied":
        onDenied({ host, address: reached.address });
        return toFailed(toDeniedException(address, null));
      case "failed":
        return toFailed(toConnectException(reached.error, address));
    }
  }

  function toLateException(isAtProxy: boolean): Exception {
    const reason = `no connection within ${timeoutMs} ms`;
    if (!isAtProxy || proxy === null)
      return toException("connect-timeout", `Cannot reach ${address}: ${reason}`);
    return toProxyException(address, { proxy, reason: `gave ${reason}` });
  }

  return (onEnd) => {
    const sockets = createOpenedSockets();
    let hasEnded = false;
    let isAtProxy = proxy !== null;

    const end = (dialled: Dialled | null) => {
      if (hasEnded) return;
      hasEnded = true;
      clearTimeout(timer);
      if (dialled?.kind !== "connected") sockets.destroyAll();
      if (dialled !== null) onEnd(dialled);
    };
    const run = async () => {
      const connected = await connect(sockets);
      isAtProxy = false;
      if (connected.kind === "failed" || secure === null || hasEnded) return connected;
      return secure(connected.socket, sockets);
    };
    const timer = setTimeout(() => end(toFailed(toLateException(isAtProxy))), timeoutMs);
    run().then(
      (dialled) => {
        if (dialled.kind === "connected") tune(dialled.socket);
        end(dialled);
      },
      (error: unknown) => end(toFailed(toConnectException(error, address))),
    );
    return () => end(null);
  };
}

function tune(socket: Socket): void {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
}

function destinationOf(url: URL): Destination {
  const port = url.port === "" ? (DEFAULT_PORTS[url.protocol] ?? 80) : Number(url.port);
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port };
}

/** Host and port, as messages show them. */
export function addressOf(url: URL): string {
  return url.port === "" ? `${url.hostname}:${DEFAULT_PORTS[url.protocol] ?? 80}` : url.host;
}

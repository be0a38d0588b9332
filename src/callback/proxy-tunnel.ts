// A connection through a proxy: TCP to the proxy, then what its kind asks for.

import type { Proxy } from "#delivery/callback.ts";
import { connectToHost, type Destination } from "./connect-tcp.ts";
import { type Dialled, toFailed } from "./dialled.ts";
import { toConnectReason, toProxyException } from "./exception.ts";
import { startConnect } from "./http-connect.ts";
import type { OpenedSockets } from "./opened-sockets.ts";
import { type HandshakeStep, shakeHands } from "./proxy-handshake.ts";
import { startSocks4, startSocks5 } from "./socks.ts";

export interface Tunnel {
  readonly proxy: Proxy;
  readonly destination: Destination;
  /** The host and port of the destination, for the proxy and for messages. */
  readonly address: string;
  /** False: what is sent to an HTTP proxy names the callback itself, so that there is nothing to ask for. */
  readonly isTls: boolean;
}

/** Every failure is the proxy's: an exception with the code `proxy`. */
export async function openTunnel(tunnel: Tunnel, sockets: OpenedSockets): Promise<Dialled> {
  const { proxy, address } = tunnel;
  const fail = (reason: string) => toFailed(toProxyException(address, { proxy, reason }));
  const reached = await connectToHost(proxy, { isAllowed: () => true, sockets });
  if (reached.kind === "denied") return fail("has no address");
  if (reached.kind === "failed") return fail(`cannot be reached: ${toConnectReason(reached.error)}`);
  const { socket } = reached;
  const first = startHandshake(tunnel);
  if (first === null) return reached;
  const end = await shakeHands(socket, first);
  if (end.kind === "refused") return fail(end.reason);
  if (end.early.length > 0) socket.unshift(end.early);
  return { kind: "connected", socket };
}

function startHandshake({ proxy, destination, address, isTls }: Tunnel): HandshakeStep | null {
  switch (proxy.type) {
    case "http":
      return isTls ? startConnect(proxy, address) : null;
    case "socks4":
      return startSocks4(proxy, destination);
    case "socks5":
      return startSocks5(proxy, destination);
  }
}

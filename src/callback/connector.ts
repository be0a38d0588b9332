// One connection to the callback: TCP, then TLS where the URL asks for it, under one exact deadline.

import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";

import type { Exception } from "#delivery/outcome.ts";
import { toConnectException, toException, toTlsException } from "./exception.ts";

export type Dialled =
  | { readonly kind: "connected"; readonly socket: Socket }
  | { readonly kind: "failed"; readonly exception: Exception };

/** Calls `onEnd` once, later, unless the returned function is called first: that gives the connection up. */
export type Dial = (onEnd: (dialled: Dialled) => void) => () => void;

export interface DialSettings {
  readonly url: URL;
  /** For all stages together, name resolution included. */
  readonly timeoutMs: number;
  /** Beyond the defaults, which verify the certificate and the name. */
  readonly tls: ConnectionOptions;
}

const KEEP_ALIVE_PROBE_MS = 60_000;
const DEFAULT_PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

export function createDial({ url, timeoutMs, tls }: DialSettings): Dial {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? (DEFAULT_PORTS[url.protocol] ?? 80) : Number(url.port);
  const address = addressOf(url);
  const isTls = url.protocol === "https:";
  const tlsOptions: ConnectionOptions = {
    host,
    servername: isIP(host) === 0 ? host : "",
    ALPNProtocols: ["http/1.1"],
    ...tls,
  };

  return (onEnd) => {
    let hasEnded = false;
    const sockets: Socket[] = [];

    const end = (dialled: Dialled | null) => {
      if (hasEnded) return;
      hasEnded = true;
      clearTimeout(timer);
      if (dialled?.kind !== "connected") for (const socket of sockets) socket.destroy();
      if (dialled !== null) onEnd(dialled);
    };
    const fail = (exception: Exception) => end({ kind: "failed", exception });
    /** The listener stays for good: an error that comes late and finds none ends the process. */
    const own = (socket: Socket, toStageException: (error: unknown, address: string) => Exception) => {
      sockets.push(socket);
      socket.on("error", (error) => fail(toStageException(error, address)));
      socket.once("close", () => fail(toStageException(CLOSED, address)));
    };
    const succeed = (socket: Socket) => {
      socket.setNoDelay(true);
      socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS);
      end({ kind: "connected", socket });
    };
    const secure = (raw: Socket) => {
      const socket = connectTls({ ...tlsOptions, socket: raw });
      own(socket, toTlsException);
      socket.once("secureConnect", () => succeed(socket));
    };

    const timer = setTimeout(() => {
      fail(toException("connect-timeout", `Cannot reach ${address}: no connection within ${timeoutMs} ms`));
    }, timeoutMs);
    const raw = connectTcp({ host, port });
    own(raw, (error) =>
      sockets.length > 1 ? toTlsException(error, address) : toConnectException(error, address),
    );
    raw.once("connect", () => {
      if (hasEnded) return;
      if (isTls) secure(raw);
      else succeed(raw);
    });
    return () => end(null);
  };
}

const CLOSED = Object.assign(new Error("Connection closed"), { code: "ECONNRESET" });

/** Host and port, as messages show them. */
export function addressOf(url: URL): string {
  return url.port === "" ? `${url.hostname}:${DEFAULT_PORTS[url.protocol] ?? 80}` : url.host;
}

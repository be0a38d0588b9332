// Opens the listeners: TCP for people and scripts, a unix socket for the command line.

import { chmod, lstat, mkdir, readFile, rm } from "node:fs/promises";
import { connect, createServer, type ListenOptions, type Server } from "node:net";
import { dirname } from "node:path";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import type { ServerTls } from "#config/resolve-server.ts";
import { messageOf, RelayError } from "#lib/errors.ts";
import {
  type ConnectionLimits,
  createConnections,
  planLimits,
  readDescriptorLimit,
  UNLIMITED,
} from "./connections.ts";
import { type Fetch, serveHttp } from "./fetch-adapter.ts";

export interface Listener {
  /** Where it listens: an `http://` or `https://` URL, or the path of the socket. */
  readonly address: string;
  /** Refuses new connections; running requests have `graceMs`. */
  close: (graceMs: number) => Promise<void>;
}

export interface TcpListener extends Listener {
  /**
   * Shows the certificate that the files hold now to new connections; false: they hold what they did. Rejects with a
   * RelayError if they do not serve: what was there goes on then.
   */
  readonly renew: () => Promise<boolean>;
}

interface TcpOptions {
  /** Null: plain HTTP. */
  readonly tls: ServerTls | null;
  readonly limits?: ConnectionLimits;
}

/** The longest path that a socket address holds. */
const MAX_SOCKET_PATH_BYTES = 107;
/** What a path without a listener answers to a connection. */
const NOBODY: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ECONNREFUSED", "ENOTSOCK"]);

/** Rejects with a RelayError where the address is taken or not ours, or a file of `tls` does not serve. */
export async function listenTcp(
  { host, port: wantedPort }: { host: string; port: number },
  fetch: Fetch,
  { tls, limits = planLimits(readDescriptorLimit()) }: TcpOptions = { tls: null },
): Promise<TcpListener> {
  const toFault = (error: unknown) =>
    new RelayError("unavailable", `Cannot listen on ${host}:${wantedPort}: ${messageOf(error)}`, {
      cause: error,
    });
  const connections = createConnections(limits);
  const serve = serveHttp(fetch);
  try {
    let certificate = tls === null ? null : await readCertificate(tls);
    let port = wantedPort;
    const server = createServer((socket) => {
      const connection = connections.admit(socket);
      if (connection === null) return;
      const isSecure = certificate !== null;
      const served = {
        connection,
        caller: { kind: "network", address: socket.remoteAddress ?? "", port, isSecure },
      } as const;
      if (certificate === null) return serve(socket, served);
      const secure = new TLSSocket(socket, { isServer: true, secureContext: certificate.context });
      connection.cover(secure);
      secure.on("error", () => secure.destroy()); // It speaks no TLS, or breaks off.
      secure.once("secure", () => serve(secure, served));
    });
    await open(server, { host, port, exclusive: true });
    port = portOf(server);
    const name = host.includes(":") ? `[${host}]` : host;
    return {
      address: new URL(`${tls === null ? "http" : "https"}://${name}:${port}/`).href,
      close: (graceMs) => closeServer(server, connections.close(graceMs)),
      async renew() {
        if (tls === null) return false;
        const found = await readCertificate(tls).catch((error: unknown) => Promise.reject(toFault(error)));
        if (found.pem === certificate?.pem) return false;
        certificate = found;
        return true;
      },
    };
  } catch (error) {
    throw toFault(error);
  }
}

interface Certificate {
  readonly pem: string;
  readonly context: SecureContext;
}

/** Rejects where the key is not that of the certificate. */
async function readCertificate({ certFile, keyFile }: ServerTls): Promise<Certificate> {
  const [cert, key] = [await readFile(certFile, "utf8"), await readFile(keyFile, "utf8")];
  return { pem: `${cert}\n${key}`, context: createSecureContext({ cert, key }) };
}

/** Refused while another relay has it; what a killed one left behind is replaced. */
export async function listenSocket(path: string, fetch: Fetch): Promise<Listener> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    const why = `the path has more than ${MAX_SOCKET_PATH_BYTES} bytes`;
    throw new RelayError("unavailable", `Cannot open the control socket ${path}: ${why}`);
  }
  if (await isInUse(path)) {
    throw new RelayError(
      "unavailable",
      `Cannot open the control socket ${path}: another relay is running on it`,
    );
  }
  // Whoever may open it is an operator.
  const connections = createConnections(UNLIMITED);
  const serve = serveHttp(fetch);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await removeSocket(path);
    const server = createServer((socket) => {
      const connection = connections.admit(socket);
      if (connection !== null) serve(socket, { connection, caller: { kind: "socket" } });
    });
    await open(server, { path });
    await chmod(path, 0o660);
    return {
      address: path,
      async close(graceMs) {
        await closeServer(server, connections.close(graceMs));
        await rm(path, { force: true });
      },
    };
  } catch (error) {
    const text = `Cannot open the control socket ${path}: ${messageOf(error)}`;
    throw new RelayError("unavailable", text, { cause: error });
  }
}

/** A relay that is stopped or stalled takes no request, but its socket still takes a connection. */
function isInUse(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ path });
  socket.once("connect", () => resolve(true));
  socket.once("error", (error: NodeJS.ErrnoException) => resolve(!NOBODY.has(error.code ?? "")));
  return promise.finally(() => socket.destroy());
}

/** What is there and is no socket is somebody's file. */
async function removeSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found === null) return;
  if (!found.isSocket()) throw new Error("something that is no socket is there");
  await rm(path);
}

async function open(server: Server, options: ListenOptions): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(options, resolve);
  await promise;
  server.off("error", reject);
  server.on("error", () => {}); // A connection that could not be taken.
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Its port is free when this resolves. */
async function closeServer(server: Server, connectionsClosed: Promise<void>): Promise<void> {
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  await connectionsClosed;
  await closed.promise;
}

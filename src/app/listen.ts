// Opens the listeners: TCP for people and scripts, a unix socket for the command line.

import { chmod, lstat, mkdir, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";
import type { ServerTls } from "#config/resolve-server.ts";
import type { Bindings } from "#http/caller.ts";
import { messageOf, RelayError } from "#lib/errors.ts";

export type Fetch = (request: Request, bindings: Bindings) => Response | Promise<Response>;

export interface Listener {
  /** Where it listens: an `http://` or `https://` URL, or the path of the socket. */
  readonly address: string;
  /** Refuses new connections; running requests have `graceMs`. */
  close: (graceMs: number) => Promise<void>;
}

const IDLE_TIMEOUT_SECONDS = 10;
/** For the socket: Bun's `timeout()` does nothing there, though answers wait for callbacks and drains; its types know none. */
const WITHOUT_IDLE_TIMEOUT: object = { idleTimeout: 0 };
/** Bodies are limited where they are read, and wait unread at their sender's: a refusal can say why then. */
const MAX_REQUEST_BYTES = Number.MAX_SAFE_INTEGER;
/** The longest path that a socket address holds. */
const MAX_SOCKET_PATH_BYTES = 107;
/** What a path without a listener answers to a connection. */
const NOBODY: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ECONNREFUSED", "ENOTSOCK"]);

/** Rejects with a RelayError where the address is taken or not ours, or a file of `tls` does not serve. */
export async function listenTcp(
  { host, port }: { host: string; port: number },
  fetch: Fetch,
  { tls }: { tls: ServerTls | null } = { tls: null },
): Promise<Listener> {
  const name = `${host}:${port}`;
  try {
    const server = Bun.serve({
      hostname: host,
      port,
      // Without it, and without `development`, Bun shares the port with another relay.
      reusePort: false,
      ...(tls === null ? {} : { tls: await readTls(tls) }),
      fetch: (request, own) =>
        fetch(request, {
          caller: {
            kind: "network",
            address: own.requestIP(request)?.address ?? "",
            port: own.port ?? port,
            isSecure: tls !== null,
          },
          keepOpen: () => own.timeout(request, 0),
        }),
      error: answerFault,
      development: false,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      maxRequestBodySize: MAX_REQUEST_BYTES,
    });
    return { address: server.url.href, close: (graceMs) => closeServer(server, graceMs) };
  } catch (error) {
    throw new RelayError("unavailable", `Cannot listen on ${name}: ${messageOf(error)}`, { cause: error });
  }
}

async function readTls({ certFile, keyFile }: ServerTls): Promise<{ cert: string; key: string }> {
  return { cert: await readFile(certFile, "utf8"), key: await readFile(keyFile, "utf8") };
}

/** What the routes themselves did not catch: nothing of it is shown. */
function answerFault(): Response {
  return new Response(null, { status: 500 });
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
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await removeSocket(path);
    const server = Bun.serve({
      unix: path,
      fetch: (request) => fetch(request, { caller: { kind: "socket" }, keepOpen: () => {} }),
      error: answerFault,
      development: false,
      ...WITHOUT_IDLE_TIMEOUT,
      maxRequestBodySize: MAX_REQUEST_BYTES,
    });
    await chmod(path, 0o660);
    return {
      address: path,
      async close(graceMs) {
        await closeServer(server, graceMs);
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

interface Stoppable {
  stop: (closeActiveConnections?: boolean) => Promise<void>;
}

async function closeServer(server: Stoppable, graceMs: number): Promise<void> {
  const timer = setTimeout(() => void server.stop(true), graceMs); // Ends the wait below.
  await server.stop();
  clearTimeout(timer);
}

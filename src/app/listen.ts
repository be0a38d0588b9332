// Opens the listeners: TCP for people and scripts, a unix socket for the command line.

import { chmod, mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, RelayError } from "#lib/errors.ts";

type Fetch = (request: Request) => Response | Promise<Response>;

export interface Listener {
  /** Where it listens: an `http://` URL, or the path of the socket. */
  readonly address: string;
  /** Refuses new connections; running requests have `graceMs`. */
  close: (graceMs: number) => Promise<void>;
}

const IDLE_TIMEOUT_SECONDS = 10;
const MAX_REQUEST_BYTES = 1_048_576;
/** The longest path that a socket address holds. */
const MAX_SOCKET_PATH_BYTES = 107;
const PROBE_TIMEOUT_MS = 1000;

/** Rejects with a RelayError where the address is taken or not ours. */
export async function listenTcp(
  { host, port }: { host: string; port: number },
  fetch: Fetch,
): Promise<Listener> {
  const name = `${host}:${port}`;
  try {
    const server = Bun.serve({
      hostname: host,
      port,
      fetch,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      maxRequestBodySize: MAX_REQUEST_BYTES,
    });
    return { address: server.url.href, close: (graceMs) => closeServer(server, graceMs) };
  } catch (error) {
    throw new RelayError("unavailable", `Cannot listen on ${name}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * The socket is also what keeps a second relay from the same state: it is refused while the first one answers. What a killed
 * relay left behind is replaced.
 */
export async function listenSocket(path: string, fetch: Fetch): Promise<Listener> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    const why = `the path has more than ${MAX_SOCKET_PATH_BYTES} bytes`;
    throw new RelayError("unavailable", `Cannot open the control socket ${path}: ${why}`);
  }
  if (await isAnswering(path)) {
    throw new RelayError(
      "unavailable",
      `Cannot open the control socket ${path}: another relay is running on it`,
    );
  }
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await rm(path, { force: true });
    const server = Bun.serve({ unix: path, fetch, maxRequestBodySize: MAX_REQUEST_BYTES });
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

async function isAnswering(path: string): Promise<boolean> {
  try {
    const response = await fetch("http://relay/livez", {
      unix: path,
      signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
    });
    return response.ok;
  } catch {
    return false;
  }
}

interface Stoppable {
  stop: (closeActiveConnections?: boolean) => Promise<void>;
}

async function closeServer(server: Stoppable, graceMs: number): Promise<void> {
  const timer = setTimeout(() => void server.stop(true), graceMs); // Ends the wait below.
  await server.stop();
  clearTimeout(timer);
}

// The listeners of a relay, open as long as it runs: the control socket first, for it keeps a second relay from the same state.
//
// Where the state directory cannot be written, the relay runs without the socket in there, and opens it once that can be.

import { lstat } from "node:fs/promises";
import { join } from "node:path";

import type { Config } from "#config/resolve.ts";
import { codeOf, messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";
import { type Listener, listenSocket, listenTcp } from "./listen.ts";
import type { Fetch } from "./fetch-adapter.ts";

interface Listeners {
  /** `http://host:port/`; null: there is no TCP listener. */
  readonly url: string | null;
  /** The paths of the control sockets that were opened. */
  readonly sockets: () => readonly string[];
  /** Takes the certificate that the files hold now; false: it is the same. Rejects with a RelayError, and the former goes on. */
  readonly renewCertificate: () => Promise<boolean>;
  readonly close: () => Promise<void>;
}

const STOP_GRACE_MS = 2000;
const REOPEN_MS = 2000;

/** Rejects with a RelayError where one of them cannot be opened; none is open then. */
export async function openListeners(
  { server, state }: Config,
  fetch: Fetch,
  { logger }: { logger: Logger },
): Promise<Listeners> {
  const { listen, tls, controlSocket } = server;
  const own = join(state.directory, "relay.sock");
  const opened: Listener[] = [];
  const sockets: string[] = [];
  const closing = new AbortController();
  const openSocket = async (path: string) => {
    opened.push(await listenSocket(path, fetch));
    sockets.push(path);
  };
  const close = async (graceMs: number) => {
    closing.abort();
    await opening;
    await Promise.all(opened.map((listener) => listener.close(graceMs)));
  };
  let opening: Promise<void> = Promise.resolve();

  /** Never rejects. */
  async function openLater(path: string): Promise<void> {
    while (await sleep(REOPEN_MS, closing.signal)) {
      const isOpen = await openSocket(path).then(
        () => true,
        () => false,
      );
      if (!isOpen) continue;
      logger.info("The control socket is open", { path });
      return;
    }
  }

  try {
    // The one in the state directory is there in any case.
    for (const path of new Set([own, controlSocket])) {
      await openSocket(path).catch((error: unknown) => {
        if (path !== own || !isUnwritable(error)) throw error;
        logger.warn("The relay runs without its control socket", { reason: messageOf(error) });
        opening = openLater(path);
      });
    }
    const tcp = listen === null ? null : await listenTcp(listen, fetch, { tls });
    if (tcp !== null) opened.push(tcp);
    return {
      url: tcp?.address ?? null,
      sockets: () => sockets,
      renewCertificate: async () => (await tcp?.renew()) ?? false,
      close: () => close(STOP_GRACE_MS),
    };
  } catch (error) {
    await close(0);
    throw error;
  }
}

/** The file system refused it; nobody else is there. */
function isUnwritable(error: unknown): boolean {
  const code = error instanceof Error ? codeOf(error.cause) : "";
  return code !== "" && code !== "EADDRINUSE";
}

const GONE = "The control socket is gone: restart the relay";

/** Null while all of them are there, else what is wrong. Logged when it begins. Never rejects. */
export function watchSockets(
  opened: () => readonly string[],
  { logger }: { logger: Logger },
): () => Promise<string | null> {
  let isLogged = false;

  async function check(): Promise<string | null> {
    const paths = opened();
    const found = await Promise.all(paths.map((path) => lstat(path).catch(() => null)));
    const missing = paths.filter((_, index) => found[index]?.isSocket() !== true);
    if (missing.length > 0 && !isLogged) logger.error(GONE, { paths: missing });
    isLogged = missing.length > 0;
    return isLogged ? GONE : null;
  }

  return check;
}

// The listeners of a relay, replaced when the config asks for others: the new ones are open before an old one closes.
//
// A listener that is to take over the port of an old one, for a new certificate say, is tried on another port first; then
// the port is free for as long as it takes to open it again.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Config } from "#config/resolve.ts";
import { type Fetch, type Listener, listenSocket, listenTcp } from "./listen.ts";

export interface Listeners {
  /** `http://host:port/`; null: there is no TCP listener. */
  readonly url: string | null;
  /**
   * Opens what is missing. Rejects with a RelayError where that cannot be done; all is as it was then. Resolves with what
   * finishes the change.
   */
  readonly prepare: (config: Config) => Promise<PreparedListeners>;
  readonly close: () => Promise<void>;
}

export interface PreparedListeners {
  readonly isChanged: boolean;
  /** Closes what is not wanted any more; it may take a moment. */
  readonly commit: () => void;
  /** Closes what was opened for it. */
  readonly discard: () => Promise<void>;
}

type Wanted =
  | { readonly kind: "socket"; readonly path: string }
  | {
      readonly kind: "tcp";
      readonly listen: NonNullable<Config["server"]["listen"]>;
      readonly tls: Config["server"]["tls"];
      /** Of what is in the files; another certificate under the same name is another listener. */
      readonly digest: string | null;
    };

interface Opened {
  /** What it was opened for. */
  readonly wanted: Wanted;
  readonly listener: Listener;
}

const STOP_GRACE_MS = 2000;
/** The answer to the very request that asked for the change may take as long. */
const REPLACED_GRACE_MS = 30_000;

export async function openListeners(config: Config, fetch: Fetch): Promise<Listeners> {
  let opened: readonly Opened[] = [];

  async function prepare(next: Config): Promise<PreparedListeners> {
    const wanted = await listWanted(next);
    const isIn = (list: readonly Wanted[], own: Wanted) =>
      list.some((other) => isDeepStrictEqual(other, own));
    const before = opened.map((entry) => entry.wanted);
    const added: Opened[] = [];
    const closeAdded = () => closeAll(added, 0);
    try {
      // TCP is the last: nothing fails after a port was taken over.
      for (const own of wanted.filter((entry) => !isIn(before, entry))) {
        const former = opened.find((entry) => !isIn(wanted, entry.wanted) && isSamePort(entry.wanted, own));
        if (former !== undefined) await makeRoom(former, own);
        added.push(await open(own, fetch).catch((error: unknown) => restore(former, error)));
      }
    } catch (error) {
      await closeAdded();
      throw error;
    }
    const gone = opened.filter((entry) => !isIn(wanted, entry.wanted));
    return {
      isChanged: gone.length > 0 || added.length > 0,
      commit() {
        opened = [...opened.filter((entry) => !gone.includes(entry)), ...added];
        void closeAll(gone, REPLACED_GRACE_MS); // Never rejects.
      },
      discard: closeAdded,
    };
  }

  /** Not before it is known that the new one would do on any port. */
  async function makeRoom(former: Opened, next: Wanted): Promise<void> {
    if (next.kind === "tcp") {
      const trial = await listenTcp({ ...next.listen, port: 0 }, fetch, { tls: next.tls });
      await trial.close(0);
    }
    void former.listener.close(REPLACED_GRACE_MS); // Refuses at once; never rejects.
  }

  async function restore(former: Opened | undefined, error: unknown): Promise<never> {
    if (former !== undefined) {
      opened = opened.filter((entry) => entry !== former);
      opened = [...opened, await open(former.wanted, fetch)];
    }
    throw error;
  }

  (await prepare(config)).commit();
  return {
    get url() {
      const tcp = opened.find(({ wanted }) => wanted.kind === "tcp");
      return tcp?.listener.address ?? null;
    },
    prepare,
    close: () => closeAll(opened, STOP_GRACE_MS),
  };
}

async function closeAll(opened: readonly Opened[], graceMs: number): Promise<void> {
  await Promise.all(opened.map(({ listener }) => listener.close(graceMs)));
}

/** The socket in the state directory is there in any case: it keeps a second relay from the same journals. */
async function listWanted({ server, state }: Config): Promise<readonly Wanted[]> {
  const { listen, tls, controlSocket } = server;
  const paths = new Set([join(state.directory, "relay.sock"), controlSocket]);
  const sockets = [...paths].map((path): Wanted => ({ kind: "socket", path }));
  if (listen === null) return sockets;
  return [...sockets, { kind: "tcp", listen, tls, digest: await digestOf(tls) }];
}

/** What cannot be read is told where it is used. */
async function digestOf(tls: Config["server"]["tls"]): Promise<string | null> {
  if (tls === null) return null;
  const hash = createHash("sha256");
  for (const file of [tls.certFile, tls.keyFile]) {
    hash.update(await readFile(file).catch(() => "")).update("\n");
  }
  return hash.digest("base64");
}

function isSamePort(left: Wanted, right: Wanted): boolean {
  return left.kind === "tcp" && right.kind === "tcp" && left.listen.port === right.listen.port;
}

async function open(wanted: Wanted, fetch: Fetch): Promise<Opened> {
  const listener =
    wanted.kind === "socket"
      ? await listenSocket(wanted.path, fetch)
      : await listenTcp(wanted.listen, fetch, { tls: wanted.tls });
  return { wanted, listener };
}

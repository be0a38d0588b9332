// The listeners of a relay, replaced when the config asks for others: the new ones are open before an old one closes.

import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Config } from "#config/resolve.ts";
import { type Fetch, type Listener, listenSocket, listenTcp } from "./listen.ts";

export interface Listeners {
  /** `http://host:port/`; null: there is no TCP listener. */
  readonly url: string | null;
  /** Rejects with a RelayError where one cannot be opened; all is as it was then. Resolves with what finishes the change. */
  readonly prepare: (config: Config) => Promise<PreparedListeners>;
  readonly close: () => Promise<void>;
}

export interface PreparedListeners {
  readonly isChanged: boolean;
  /** Closes what is not wanted any more; it may take a moment. */
  readonly commit: () => void;
}

interface Opened {
  /** What it was opened for. */
  readonly wanted: unknown;
  readonly listener: Listener;
}

const GRACE_MS = 2000;

export async function openListeners(config: Config, fetch: Fetch): Promise<Listeners> {
  let opened: readonly Opened[] = await openMissing([], config, fetch);

  return {
    get url() {
      const tcp = opened.find(({ listener }) => listener.address.startsWith("http"));
      return tcp?.listener.address ?? null;
    },
    async prepare(next) {
      const all = await openMissing(opened, next, fetch);
      const wanted = listWanted(next);
      const isWanted = (entry: Opened) => wanted.some((other) => isDeepStrictEqual(other, entry.wanted));
      const gone = all.filter((entry) => !isWanted(entry));
      const isChanged = gone.length > 0 || all.length > opened.length;
      return {
        isChanged,
        commit() {
          opened = all.filter(isWanted);
          for (const { listener } of gone) void listener.close(GRACE_MS); // Never rejects.
        },
      };
    },
    async close() {
      await Promise.all(opened.map(({ listener }) => listener.close(GRACE_MS)));
    },
  };
}

type Wanted =
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "tcp"; readonly server: Pick<Config["server"], "listen" | "tls"> };

/** The socket in the state directory is there in any case: it keeps a second relay from the same journals. */
function listWanted({ server, state }: Config): readonly Wanted[] {
  const { listen, tls, controlSocket } = server;
  const paths = new Set([join(state.directory, "relay.sock"), controlSocket]);
  const sockets = [...paths].map((path): Wanted => ({ kind: "socket", path }));
  return listen === null ? sockets : [...sockets, { kind: "tcp", server: { listen, tls } }];
}

/** All or none of those that are not open yet. */
async function openMissing(
  opened: readonly Opened[],
  config: Config,
  fetch: Fetch,
): Promise<readonly Opened[]> {
  const added: Opened[] = [];
  try {
    for (const wanted of listWanted(config)) {
      if (opened.some((entry) => isDeepStrictEqual(entry.wanted, wanted))) continue;
      added.push({ wanted, listener: await open(wanted, fetch) });
    }
    return [...opened, ...added];
  } catch (error) {
    await Promise.all(added.map(({ listener }) => listener.close(0)));
    throw error;
  }
}

async function open(wanted: Wanted, fetch: Fetch): Promise<Listener> {
  if (wanted.kind === "socket") return listenSocket(wanted.path, fetch);
  const { listen, tls } = wanted.server;
  if (listen === null) throw new Error("No address to listen on");
  return listenTcp(listen, fetch, { tls });
}

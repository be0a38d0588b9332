// The listeners of a relay, open as long as it runs: the control socket first, for it keeps a second relay from the same state.

import { join } from "node:path";
import type { Config } from "#config/resolve.ts";
import { type Fetch, type Listener, listenSocket } from "./listen.ts";
import { listenRenewable } from "./listen-renewable.ts";

export interface Listeners {
  /** `http://host:port/`; null: there is no TCP listener. */
  readonly url: string | null;
  /** The paths of the control sockets. */
  readonly sockets: readonly string[];
  /** Takes the certificate that the files hold now; false: it is the same. Rejects with a RelayError, and the former goes on. */
  readonly renewCertificate: () => Promise<boolean>;
  readonly close: () => Promise<void>;
}

const STOP_GRACE_MS = 2000;

/** Rejects with a RelayError where one of them cannot be opened; none is open then. */
export async function openListeners({ server, state }: Config, fetch: Fetch): Promise<Listeners> {
  const { listen, tls, controlSocket } = server;
  const opened: Listener[] = [];
  const close = async (graceMs: number) => {
    await Promise.all(opened.map((listener) => listener.close(graceMs)));
  };
  // The one in the state directory is there in any case.
  const sockets = [...new Set([join(state.directory, "relay.sock"), controlSocket])];
  try {
    for (const path of sockets) opened.push(await listenSocket(path, fetch));
    const tcp = listen === null ? null : await listenRenewable(listen, fetch, { tls });
    if (tcp !== null) opened.push(tcp);
    return {
      url: tcp?.address ?? null,
      sockets,
      renewCertificate: async () => (await tcp?.renew()) ?? false,
      close: () => close(STOP_GRACE_MS),
    };
  } catch (error) {
    await close(0);
    throw error;
  }
}

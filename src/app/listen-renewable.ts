// A TCP listener that takes what its certificate files hold now, on the port that it has.
//
// Bun gives an open listener no other certificate. A new one is tried on another port first; then the port is free for as
// long as it takes to open it again. Connections that are there go on with the one that they were made with.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { ServerTls } from "#config/resolve-server.ts";
import { type Fetch, type Listener, listenTcp } from "./listen.ts";

export interface RenewableListener extends Listener {
  /** False: the files hold what they did. Rejects with a RelayError if they do not serve: what was there goes on then. */
  readonly renew: () => Promise<boolean>;
}

/** The answer to the very request that asked for it may take as long. */
const FORMER_GRACE_MS = 30_000;

/** Rejects as `listenTcp` does. */
export async function listenRenewable(
  { host, port: wantedPort }: { host: string; port: number },
  fetch: Fetch,
  { tls }: { tls: ServerTls | null },
): Promise<RenewableListener> {
  let digest = await digestOf(tls);
  let current = await listenTcp({ host, port: wantedPort }, fetch, { tls });
  const { address } = current;
  const port = wantedPort === 0 ? Number(new URL(address).port) : wantedPort;
  return {
    address,
    close: (graceMs) => current.close(graceMs),
    async renew() {
      const newDigest = await digestOf(tls);
      if (newDigest === digest) return false;
      const trial = await listenTcp({ host, port: 0 }, fetch, { tls });
      await trial.close(0);
      void current.close(FORMER_GRACE_MS); // Refuses at once; never rejects.
      current = await listenTcp({ host, port }, fetch, { tls });
      digest = newDigest;
      return true;
    },
  };
}

/** What cannot be read is told where it is used. */
async function digestOf(tls: ServerTls | null): Promise<string | null> {
  if (tls === null) return null;
  const hash = createHash("sha256");
  for (const file of [tls.certFile, tls.keyFile]) {
    hash.update(await readFile(file).catch(() => "")).update("\n");
  }
  return hash.digest("base64");
}

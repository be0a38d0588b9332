// Whether the control sockets are still there: the state directory of a running relay may be deleted.

import { lstat } from "node:fs/promises";
import type { Logger } from "#lib/logger.ts";

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

// Default paths of the state directory and the control socket.

import { join, resolve } from "node:path";
import type { ConfigContext } from "./secrets.ts";

/** The limit of Linux for the path of a unix socket. */
export const MAX_SOCKET_PATH_BYTES = 107;

/** The absolute path; by default systemd's STATE_DIRECTORY, else `.relay` beside the config file. */
export function stateDirectoryOf(written: string | undefined, { directory, env }: ConfigContext): string {
  return resolve(directory, written ?? (firstOf(env["STATE_DIRECTORY"]) || ".relay"));
}

/** By default in systemd's RUNTIME_DIRECTORY, else in `stateDirectory`. Absolute if that is. */
export function controlSocketOf(
  written: string | undefined,
  { context, stateDirectory }: { readonly context: ConfigContext; readonly stateDirectory: string },
): string {
  if (written !== undefined) return resolve(context.directory, written);
  return join(firstOf(context.env["RUNTIME_DIRECTORY"]) || stateDirectory, "relay.sock");
}

/** systemd separates several directories by colons. */
function firstOf(directories: string | undefined): string {
  return directories?.split(":")[0] ?? "";
}

// Default paths of the state directory and the control socket.

import { join, resolve } from "node:path";
import type { ConfigContext } from "./secrets.ts";

/** The longest path that the address of a unix socket holds. */
export const MAX_SOCKET_PATH_BYTES = 107;

/** Absolute. */
export function stateDirectoryOf(written: string | undefined, { directory, env }: ConfigContext): string {
  return resolve(directory, written ?? (firstOf(env["STATE_DIRECTORY"]) || ".relay"));
}

/** Absolute, where `stateDirectory` is. */
export function controlSocketOf(
  written: string | undefined,
  { context, stateDirectory }: { readonly context: ConfigContext; readonly stateDirectory: string },
): string {
  if (written !== undefined) return resolve(context.directory, written);
  return join(firstOf(context.env["RUNTIME_DIRECTORY"]) || stateDirectory, "relay.sock");
}

/** Systemd joins several directories by colons. */
function firstOf(directories: string | undefined): string {
  return directories?.split(":")[0] ?? "";
}

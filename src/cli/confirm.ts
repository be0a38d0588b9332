// Asks for confirmation on a terminal. It stands alone because every command that repeats, skips or deletes messages asks so.

import { RelayError } from "#lib/errors.ts";
import { clean } from "#lib/printable.ts";
import type { RemoteCall, RemoteOption } from "./remote-command.ts";

export const YES_OPTION: RemoteOption = { flags: "--yes", description: "do not ask for confirmation" };

/**
 * True with `--yes`. Throws a RelayError `usage` where there is no terminal to ask. `what`: completes "use --yes to …".
 */
export async function confirmed(
  { flags, confirm }: Pick<RemoteCall, "flags" | "confirm">,
  { what, question }: { readonly what: string; readonly question: string },
): Promise<boolean> {
  if (flags["yes"] === true) return true;
  if (confirm === null)
    throw new RelayError("usage", `No terminal to ask for confirmation; use --yes to ${clean(what)}`);
  return confirm(`${clean(question)} [y/N] `);
}

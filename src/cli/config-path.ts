// Finds the config file of a command.

import { existsSync } from "node:fs";
import { join } from "node:path";

const CONFIG_NAME = "relay.config.json";
const SYSTEM_DIRECTORY = "/etc/relay";

/**
 * The file that was named, else `./relay.config.json`, else `/etc/relay/relay.config.json`. Where neither is there, the
 * first: reading it says so.
 */
export function findConfig(
  named: string | undefined,
  { isThere = existsSync }: { isThere?: (path: string) => boolean } = {},
): string {
  if (named !== undefined) return named;
  const system = join(SYSTEM_DIRECTORY, CONFIG_NAME);
  return !isThere(CONFIG_NAME) && isThere(system) ? system : CONFIG_NAME;
}

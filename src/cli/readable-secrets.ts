// Warns if the config file holds secrets and others may read it.

import { readFileSync, statSync } from "node:fs";
import { holdsInlineSecret } from "#config/request-secrets.ts";
import type { Config } from "#config/resolve.ts";
import { CONFIG_GROUP } from "#systemd/unit.ts";

const READ_BY_OTHERS = 0o004;
const READ_BY_GROUP = 0o040;

/** The warning; null: it holds none, or nobody else may read it. */
export function findReadableSecrets(path: string, { origin }: Config): string | null {
  if (!holdsInlineSecret(origin.file)) return null;
  const { mode, gid } = statSync(path);
  const who =
    (mode & READ_BY_OTHERS) === 0
      ? (mode & READ_BY_GROUP) === 0 || isTrusted(gid)
        ? null
        : `the group ${gid}`
      : "everybody on this host";
  if (who === null) return null;
  return `the file holds secrets, and ${who} may read it: chmod 0640, group ${CONFIG_GROUP}, or use references instead`;
}

/** Root's, our own, and that of the service. */
function isTrusted(gid: number): boolean {
  return gid === 0 || gid === process.getegid?.() || gid === groupId(CONFIG_GROUP);
}

/** null: there is no such group. */
function groupId(name: string): number | null {
  try {
    const line = readFileSync("/etc/group", "utf8")
      .split("\n")
      .find((entry) => entry.startsWith(`${name}:`));
    return line === undefined ? null : Number(line.split(":")[2]);
  } catch {
    return null;
  }
}

// Who may read the config file: nobody else where it holds secrets itself, and the service in any case.

import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { holdsInlineSecret } from "#config/request-secrets.ts";
import type { Config } from "#config/resolve.ts";
import { CONFIG_DIRECTORY, CONFIG_GROUP } from "#systemd/unit.ts";

const READ_BY_OTHERS = 0o004;
const READ_BY_GROUP = 0o040;

/** Warnings about who may read the file, and who should. */
export function findReadableSecrets(path: string, { origin }: Config): readonly string[] {
  const found = statSync(path);
  const isOfService = dirname(resolve(path)) === CONFIG_DIRECTORY;
  return [
    ...(holdsInlineSecret(origin.file) ? listReaders(found) : []),
    ...(isOfService ? listBarred(found, groupId(CONFIG_GROUP)) : []),
  ];
}

const ADVICE = `chgrp ${CONFIG_GROUP} and chmod 0640`;

/** Nobody else may read it than its owner and the relay. */
function listReaders({ mode, gid }: Access): readonly string[] {
  const who =
    (mode & READ_BY_OTHERS) === 0
      ? (mode & READ_BY_GROUP) === 0 || isTrusted(gid)
        ? null
        : `the group ${gid}`
      : "everybody on this host";
  if (who === null) return [];
  return [`the file holds secrets, and ${who} may read it: ${ADVICE}, or use references instead`];
}

interface Access {
  readonly mode: number;
  readonly gid: number;
}

/** `group`: that of the service, which runs as nobody else; null: there is none on this host. */
export function listBarred({ mode, gid }: Access, group: number | null): readonly string[] {
  const isOpen = (mode & READ_BY_OTHERS) !== 0 || ((mode & READ_BY_GROUP) !== 0 && gid === group);
  if (group === null || isOpen) return [];
  return [`the service is a member of the group ${CONFIG_GROUP}, and may not read the file: ${ADVICE}`];
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

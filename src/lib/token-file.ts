// A random token in a file of its own, made once: it tells a process from others, also after a restart.

import { randomBytes } from "node:crypto";
import { closeSync, constants, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";

const TOKEN = /^[0-9a-f]{32}$/u;
/** A symbolic link is not followed: its target would be overwritten. */
const WRITE = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;

/** A file that can be neither read nor written costs only the memory of it: the token is another one next time. */
export function readToken(path: string): string {
  const known = readIfThere(path).trim();
  if (TOKEN.test(known)) return known;
  const token = randomBytes(16).toString("hex");
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const file = openSync(path, WRITE, 0o600);
    try {
      writeSync(file, `${token}\n`);
    } finally {
      closeSync(file);
    }
  } catch {
    return token;
  }
  return token;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

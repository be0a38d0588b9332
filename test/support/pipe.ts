// A named pipe whose reader decides when it reads.

import { readSync } from "node:fs";
import { join } from "node:path";

/** Returns its path. */
export function makePipe(directory: string): string {
  const path = join(directory, "pipe");
  const { exitCode } = Bun.spawnSync(["mkfifo", path]);
  if (exitCode !== 0) throw new Error(`mkfifo ended with ${exitCode}`);
  return path;
}

/** What is there, and less than fits into a pipe; `fd` was opened with O_NONBLOCK. */
export function readSome(fd: number): string {
  try {
    const bytes = Buffer.alloc(8192);
    return bytes.toString("latin1", 0, readSync(fd, bytes));
  } catch {
    return "";
  }
}

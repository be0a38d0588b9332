// A file of the log that no repetition mends: how it is known, and moved out of the way of a new one.

import { SQLiteError } from "bun:sqlite";
import { existsSync, renameSync, rmSync } from "node:fs";
import { LayoutError } from "./store.ts";

/** The last one is that of a table or column that is not there. */
const BROKEN_CODES: readonly RegExp[] = [/^SQLITE_CORRUPT/u, /^SQLITE_NOTADB/u, /^SQLITE_ERROR$/u];

/** Whether nothing but another file helps. */
export function isBroken(error: unknown): boolean {
  if (error instanceof LayoutError) return true;
  if (!(error instanceof SQLiteError)) return false;
  const { code = "" } = error;
  return BROKEN_CODES.some((pattern) => pattern.test(code));
}

/** In the place of the one that was moved aside before. */
export function moveAside(path: string): void {
  for (const end of ["", "-wal"]) {
    const aside = `${path}.broken${end}`;
    rmSync(aside, { force: true });
    if (existsSync(path + end)) renameSync(path + end, aside);
  }
  rmSync(`${path}-shm`, { force: true });
}

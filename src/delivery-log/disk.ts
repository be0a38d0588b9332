// Limits the size of the delivery log to the configured maximum and the free space of the disk.

import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { writesBytesOf } from "./checkpoint.ts";

export interface Bounds {
  readonly maxAgeMs: number;
  /** For all files of the log together. */
  readonly maxBytes: number;
}

interface Disk {
  readonly totalBytes: number;
  /** Available to users other than root. */
  readonly freeBytes: number;
}

/** Reads the size of the file system of a directory. Throws if it cannot. */
export type ReadDisk = (directory: string) => Disk;

/** The most that one batch can add to the WAL beyond its limit. */
const BATCH_BYTES = 512 * 1024;
/** Free space for the journals; on a small disk it is `RESERVE_SHARE` of the disk instead. */
const MAX_RESERVE_BYTES = 64 * 1024 * 1024;
const RESERVE_SHARE = 0.25;

export const readDisk: ReadDisk = (directory) => {
  const { bsize, blocks, bavail } = statfsSync(directory);
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
};

/** Bytes for records, so that file and WAL together stay below the limit; negative: none. */
export function roomFor({ maxBytes }: Bounds): number {
  return maxBytes - 2 * writesBytesOf(maxBytes) - BATCH_BYTES;
}

/** `bounds`, lowered to the size of the log at `path` and the free space. Never throws: a missing disk sets no limit. */
export function boundToDisk(path: string, bounds: Bounds, read: ReadDisk): Bounds {
  try {
    const { totalBytes, freeBytes } = read(dirname(path));
    const reserve = Math.min(MAX_RESERVE_BYTES, totalBytes * RESERVE_SHARE);
    const used = sizeOf(path) + sizeOf(`${path}-wal`) + sizeOf(`${path}-shm`);
    return { ...bounds, maxBytes: Math.max(0, Math.min(bounds.maxBytes, used + freeBytes - reserve)) };
  } catch {
    return bounds;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

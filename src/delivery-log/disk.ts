// What the disk leaves the delivery log: a part of it stays free for the journals, without which AT_MOST_ONCE sends nothing.

import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Bounds } from "./store.ts";

export interface Disk {
  readonly totalBytes: number;
  /** For users other than root. */
  readonly freeBytes: number;
}

/** Of the file system of a directory. Throws where that cannot be told. */
export type ReadDisk = (directory: string) => Disk;

/** A disk that is small keeps a share of itself free instead. */
const MAX_RESERVE_BYTES = 64 * 1024 * 1024;
const RESERVE_SHARE = 0.25;

export const readDisk: ReadDisk = (directory) => {
  const { bsize, blocks, bavail } = statfsSync(directory);
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
};

/** `bounds`, lowered to what the log at `path` has and what it may still take. Never throws: a disk that is not there sets none. */
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

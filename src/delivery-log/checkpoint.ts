// Checkpoints the SQLite log without blocking the event loop: the disk syncs on a thread, and writes pause meanwhile.
//
//   WAL too long -> sync the WAL -> copy it into the file -> sync the file -> empty the WAL -> sync it -> continue writing
//
// Until `finish`, SQLite itself syncs nothing. A power failure at any step loses no record: the WAL is complete on disk
// before the file is touched, stays until the file is complete, and is empty on disk before the next write.

import type { Database } from "bun:sqlite";
import { closeSync, fstatSync, fsync, fsyncSync, openSync } from "node:fs";
import { promisify } from "node:util";

/** Resolves when the file is synced to disk. */
export type SyncFile = (descriptor: number) => Promise<void>;

export const syncFile: SyncFile = promisify(fsync);

export interface Checkpoints {
  readonly isDue: (maxBytes: number) => boolean;
  /** Makes a checkpoint due, however short the WAL is. */
  request: () => void;
  /** The caller must not write until it ends. Rejects with the error of the disk or of SQLite. */
  run: (sync: SyncFile) => Promise<void>;
  /** From now on SQLite itself syncs, and blocks meanwhile. */
  finish: () => void;
  /** Call it after the database is closed. */
  close: () => void;
}

const MAX_WRITES_BYTES = 4 * 1024 * 1024;

interface Copied {
  readonly log: number;
  readonly checkpointed: number;
}

/** For the database at `path`, which must have a WAL. A checkpoint is due at once: the last relay may have crashed. */
export function openCheckpoints(database: Database, path: string): Checkpoints {
  // Closing any descriptor of the file releases SQLite's POSIX locks, so it stays open until the database is closed.
  const file = openSync(path, "r");
  const writes = openWrites(path, file);
  let isRequested = true;
  let keptBytes = 0;
  const writtenBytes = () => fstatSync(writes).size;

  /** False: it copied only a part, because another process reads the file. */
  function copyWrites(): boolean {
    using copy = database.prepare<Copied, []>("PRAGMA wal_checkpoint(PASSIVE)");
    const copied = copy.get();
    return copied !== null && copied.log === copied.checkpointed;
  }

  return {
    isDue: (maxBytes) => isRequested || writtenBytes() - keptBytes > writesBytesOf(maxBytes),
    request() {
      isRequested = true;
    },
    async run(sync) {
      isRequested = false;
      await sync(writes);
      if (copyWrites()) {
        await sync(file);
        database.run("PRAGMA wal_checkpoint(TRUNCATE)");
        await sync(writes);
      }
      // After a partial copy, wait for as many new bytes again instead of retrying after each batch.
      keptBytes = writtenBytes();
    },
    finish() {
      fsyncSync(file);
      database.run("PRAGMA synchronous = NORMAL");
      database.run("PRAGMA wal_autocheckpoint = 1000");
    },
    close() {
      closeSync(writes);
      closeSync(file);
    },
  };
}

function openWrites(path: string, file: number): number {
  try {
    return openSync(`${path}-wal`, "r");
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** The maximum length of the WAL in bytes, not counting the last batch. */
export function writesBytesOf(maxBytes: number): number {
  return Math.min(MAX_WRITES_BYTES, Math.floor(maxBytes / 8));
}

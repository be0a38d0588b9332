// Checkpoints the SQLite log without blocking the event loop: the disk syncs on a thread, and writes pause meanwhile.
//
//   log of writes too long -> sync it -> copy it into the file -> sync the file -> empty it -> sync it -> write on
//
// SQLite itself syncs nothing until the end. At each step a power failure leaves a whole file: the log of writes is complete
// on disk before the file is touched, stays until the file is complete, and is empty on disk before it is begun anew.

import type { Database } from "bun:sqlite";
import { closeSync, fstatSync, fsync, fsyncSync, openSync } from "node:fs";
import { promisify } from "node:util";

/** Resolves when the file is synced to disk. */
export type SyncFile = (descriptor: number) => Promise<void>;

export const syncFile: SyncFile = promisify(fsync);

export interface Checkpoints {
  readonly isDue: (maxBytes: number) => boolean;
  /** Makes the next one due, however short the WAL is. */
  request: () => void;
  /** No writes until it ends. Rejects with the error of the disk or SQLite. */
  run: (sync: SyncFile) => Promise<void>;
  /** From now on SQLite syncs by itself, and waits for it. */
  finish: () => void;
  /** After the database. */
  close: () => void;
}

const MAX_WRITES_BYTES = 4 * 1024 * 1024;

interface Copied {
  readonly log: number;
  readonly checkpointed: number;
}

/** For the database at `path`, which already has a WAL. The first one is due: the last relay may have crashed. */
export function openCheckpoints(database: Database, path: string): Checkpoints {
  // Closing it before the database would release SQLite's locks (POSIX).
  const file = openSync(path, "r");
  const writes = openWrites(path, file);
  let isRequested = true;
  let keptBytes = 0;
  const writtenBytes = () => fstatSync(writes).size;

  /** False: only a part, because another process reads the file. */
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
      // A part, if another process reads the file: do not retry after each batch.
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

/** The maximum length of the WAL, except for one batch. */
export function writesBytesOf(maxBytes: number): number {
  return Math.min(MAX_WRITES_BYTES, Math.floor(maxBytes / 8));
}

// Stores records on disk: one SQLite file in WAL mode, kept below its limits. Throws SQLite's errors.

import {
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  statSync,
  existsSync,
  renameSync,
  rmSync,
  statfsSync,
} from "node:fs";
import { dirname } from "node:path";

import { Database, SQLiteError } from "bun:sqlite";

import type { DeliveryRecord, RecordFilter } from "#delivery/record.ts";
import { type Checkpoints, openCheckpoints, type SyncFile, writesBytesOf } from "./checkpoint.ts";
import { type StoredRecord, toStoredRecord, toValues } from "./row.ts";
import { LAYOUT, LAYOUT_VERSION, prepare, type Statements, type Value } from "./statements.ts";

export interface Bounds {
  readonly maxAgeMs: number;
  /** Of all files of the log together. */
  readonly maxBytes: number;
}

export interface SliceQuery {
  readonly filter: RecordFilter;
  /** Exclusive. */
  readonly from: number;
  readonly direction: "down" | "up";
  /** `brief`: without headers and bodies. */
  readonly columns: "brief" | "whole";
  readonly limit: number;
}

/** The records of one part of the file, and where it ends; `end` null: it was the last part. */
export interface Slice {
  readonly records: readonly StoredRecord[];
  readonly end: number | null;
}

export interface Store {
  /** Stores all or none, and deletes old ones for room. Returns the id of the last one. */
  write: (records: readonly DeliveryRecord[], bounds: Bounds) => number;
  readonly find: (id: number) => StoredRecord | null;
  readonly readSlice: (query: SliceQuery) => Slice;
  /** 0: there is no record. */
  readonly newestId: () => number;
  /** Deletes some records that exceed the limits. True: there are more. */
  trim: (bounds: Bounds) => boolean;
  readonly isCheckpointDue: (bounds: Bounds) => boolean;
  /** No writes or trims until it ends. Rejects with the error of the disk or SQLite. */
  checkpoint: (sync: SyncFile) => Promise<void>;
  /** For the last writes, after the last checkpoint: from now on SQLite waits for the disk. */
  finish: () => void;
  close: () => void;
}

/** Thrown if the file has another layout. */
class LayoutError extends Error {
  constructor(version: number) {
    super(`the file has layout ${version}, this relay writes ${LAYOUT_VERSION}`);
    this.name = "LayoutError";
  }
}

const PAGE_BYTES = 4096;
/** How many records one slice reads. */
const SLICE_RECORDS = 2000;
const DELETE_OLD = 500;
const MAX_TRIM_STEPS = 4;
/** How many pages a shrinking file returns at once. */
const MAX_VACUUM_STEPS = 32;
/** How much one step deletes, unless the limit is small: on a full disk a step has little room for its writes. */
const MIN_STEP_BYTES = 64 * 1024;
/** How much one batch may add to the WAL beyond its limit. */
const BATCH_BYTES = 512 * 1024;
/** Ids contain the time: this many can be assigned in a millisecond before they run ahead of it. */
const IDS_PER_MS = 1024;
/** How far the clock may have been set back. */
const CLOCK_SKEW_MS = 300_000;
const BUSY_MS = 50;

export function openLogStore(path: string): Store {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // A link is not followed, and neither are those that SQLite would open beside it.
  closeSync(
    openSync(path, constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW, 0o600),
  );
  for (const end of ["-wal", "-shm"]) rejectLink(path + end);
  chmodSync(path, 0o600);
  const database = new Database(path, { readwrite: true, create: false });
  try {
    setUp(database);
    return createStore(database, {
      statements: prepare(database),
      checkpoints: openCheckpoints(database, path),
      isInPlace: createPlaceCheck(path),
    });
  } catch (error) {
    database.close();
    throw error;
  }
}

function rejectLink(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true) {
    throw new Error(`${path} is a symbolic link`);
  }
}

interface StoreParts {
  readonly statements: Statements;
  readonly checkpoints: Checkpoints;
  /** False: the path now names another file, so writes would be lost. */
  readonly isInPlace: () => boolean;
}

function createPlaceCheck(path: string): () => boolean {
  const inodeOf = () => statSync(path, { throwIfNoEntry: false })?.ino;
  const opened = inodeOf();
  return () => inodeOf() === opened;
}

function createStore(database: Database, { statements, checkpoints, isInPlace }: StoreParts): Store {
  let lastId = statements.newest.get()?.id ?? 0;

  const insert = database.transaction((records: readonly DeliveryRecord[], bounds: Bounds): number => {
    let id = Math.max(lastId, toId(Date.now()));
    for (const record of records) {
      id += 1;
      statements.insert.run(...toValues(id, record));
    }
    trimSize(bounds);
    return id;
  });

  function excessBytes(bounds: Bounds): number {
    const pages = statements.pages.get()?.page_count ?? 0;
    const free = statements.freePages.get()?.freelist_count ?? 0;
    return (pages - free) * PAGE_BYTES - roomFor(bounds);
  }

  /** True: it is still too large. */
  function trimSize(bounds: Bounds): boolean {
    const stepBytes = Math.max(MIN_STEP_BYTES, Math.floor(bounds.maxBytes / 8));
    for (let step = 0; step < MAX_TRIM_STEPS; step += 1) {
      const excess = excessBytes(bounds);
      if (excess <= 0) return false;
      if (step > 0 && checkpoints.isDue(bounds.maxBytes)) return true;
      const last = statements.lastOfBytes.get(Math.min(excess, stepBytes))?.id ?? null;
      if (last === null) return false;
      statements.deleteUpTo.run(last);
    }
    return excessBytes(bounds) > 0;
  }

  /** Returns pages of a file that was allowed to be larger. True: there are more. */
  function shrink(bounds: Bounds): boolean {
    const isOversized = () =>
      (statements.pages.get()?.page_count ?? 0) * PAGE_BYTES > roomFor(bounds) &&
      (statements.freePages.get()?.freelist_count ?? 0) > 0;
    if (!isOversized()) return false;
    for (let step = 0; step < MAX_VACUUM_STEPS && isOversized(); step += 1) {
      if (step > 0 && checkpoints.isDue(bounds.maxBytes)) return true;
      statements.vacuum.all();
    }
    if (!isOversized()) checkpoints.request();
    return true;
  }

  function readSlice({ filter, from, direction, columns, limit }: SliceQuery): Slice {
    const isDown = direction === "down";
    const bound = statements[isDown ? "before" : "after"].get(from, SLICE_RECORDS - 1)?.id ?? null;
    const oldest = oldestId(filter);
    const low = isDown ? Math.max(bound ?? 0, oldest) : Math.max(from + 1, oldest);
    const high = isDown ? from - 1 : (bound ?? Number.MAX_SAFE_INTEGER);
    const rows = statements[columns][direction].all(low, high, ...toParameters(filter), limit);
    const isPast = isDown && bound !== null && bound < oldest;
    const end = rows.length === limit ? (rows.at(-1)?.id ?? null) : isPast ? null : bound;
    return { records: rows.map(toStoredRecord), end };
  }

  return {
    write(records, bounds) {
      if (!isInPlace()) throw new Error("its file was removed or replaced");
      lastId = insert.immediate(records, bounds);
      return lastId;
    },
    find(id) {
      const row = statements.find.get(id);
      return row === null ? null : toStoredRecord(row);
    },
    readSlice,
    newestId: () => lastId,
    trim(bounds) {
      const { changes } = statements.deleteBefore.run(toId(Date.now() - bounds.maxAgeMs), DELETE_OLD);
      const isStillLarge = trimSize(bounds);
      const isFull = checkpoints.isDue(bounds.maxBytes);
      return isFull || shrink(bounds) || isStillLarge || changes >= DELETE_OLD;
    },
    isCheckpointDue: ({ maxBytes }) => checkpoints.isDue(maxBytes),
    checkpoint: (sync) => checkpoints.run(sync),
    finish: () => checkpoints.finish(),
    close() {
      statements.finalize();
      try {
        checkpoints.finish();
      } finally {
        database.close();
        checkpoints.close();
      }
    },
  };
}

/** `auto_vacuum` and `page_size` take effect only on an empty file. */
function setUp(database: Database): void {
  const version = readVersion(database);
  database.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
  database.run(`PRAGMA page_size = ${PAGE_BYTES}`);
  database.run("PRAGMA auto_vacuum = INCREMENTAL");
  database.run("PRAGMA journal_mode = WAL");
  database.run("PRAGMA synchronous = OFF");
  database.run("PRAGMA wal_autocheckpoint = 0");
  if (version === LAYOUT_VERSION) return;
  if (version !== 0) throw new LayoutError(version);
  database.transaction(() => {
    database.run(LAYOUT);
    database.run(`PRAGMA user_version = ${LAYOUT_VERSION}`);
  })();
}

function readVersion(database: Database): number {
  const row = database.query<{ user_version: number }, []>("PRAGMA user_version").get();
  return row?.user_version ?? 0;
}

/** Room for records, so that file and WAL together stay below the limit; negative: none. */
export function roomFor({ maxBytes }: Bounds): number {
  return maxBytes - 2 * writesBytesOf(maxBytes) - BATCH_BYTES;
}

function toId(timeMs: number): number {
  return Math.max(0, timeMs) * IDS_PER_MS;
}

/** A record is written after its date. */
function oldestId({ from }: RecordFilter): number {
  return from === null ? 0 : toId(from.getTime() - CLOCK_SKEW_MS);
}

function toParameters(filter: RecordFilter): Value[] {
  const { status } = filter;
  const low = status === null ? null : status.kind === "exact" ? status.status : status.hundreds * 100;
  const high = status === null || low === null ? null : status.kind === "exact" ? low : low + 99;
  return [
    low,
    high,
    filter.subscription,
    filter.application,
    filter.entrypoint,
    filter.callbackUrl,
    filter.from?.getTime() ?? null,
    filter.to?.getTime() ?? null,
  ];
}

/** The last one: a table or column is missing. */
const BROKEN_CODES: readonly RegExp[] = [/^SQLITE_CORRUPT/u, /^SQLITE_NOTADB/u, /^SQLITE_ERROR$/u];

/** Whether only a new file helps. */
export function isBroken(error: unknown): boolean {
  if (error instanceof LayoutError) return true;
  if (!(error instanceof SQLiteError)) return false;
  const { code = "" } = error;
  return BROKEN_CODES.some((pattern) => pattern.test(code));
}

/** Replaces the file that was moved aside before. */
export function moveAside(path: string): void {
  for (const end of ["", "-wal"]) {
    const aside = `${path}.broken${end}`;
    rmSync(aside, { force: true });
    if (existsSync(path + end)) renameSync(path + end, aside);
  }
  rmSync(`${path}-shm`, { force: true });
}

interface Disk {
  readonly totalBytes: number;
  /** For users other than root. */
  readonly freeBytes: number;
}

/** Of the file system of a directory. Throws if it cannot be read. */
export type ReadDisk = (directory: string) => Disk;

/** A small disk keeps a share of itself free instead. */
const MAX_RESERVE_BYTES = 64 * 1024 * 1024;
const RESERVE_SHARE = 0.25;

export const readDisk: ReadDisk = (directory) => {
  const { bsize, blocks, bavail } = statfsSync(directory);
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
};

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

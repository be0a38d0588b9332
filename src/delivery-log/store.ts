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
} from "node:fs";
import { dirname } from "node:path";

import { Database, SQLiteError } from "bun:sqlite";

import { type DeliveryRecord, EVERY_RECORD, type RecordFilter } from "#delivery/record.ts";
import { type Checkpoints, openCheckpoints, type SyncFile } from "./checkpoint.ts";
import { type Bounds, roomFor } from "./disk.ts";
import type { LeftOut } from "./left-out.ts";
import { readSlice, type Slice, type SliceQuery, toCommonParameters } from "./read.ts";
import { type StoredRecord, toStoredRecord, toValues } from "./row.ts";
import { LAYOUT, LAYOUT_VERSION, prepare, type Statements } from "./statements.ts";
import { BLOCK_RECORDS, createOpenBlock, type OpenBlock } from "./summary.ts";

interface Batch {
  readonly records: readonly DeliveryRecord[];
  readonly leftOut: readonly LeftOut[];
}

export interface Store {
  /** Stores the whole batch or nothing, and deletes old records to make room. */
  write: (batch: Batch, bounds: Bounds) => void;
  readonly find: (id: number) => StoredRecord | null;
  readonly readSlice: (query: SliceQuery) => Slice;
  /** Counts unrecorded deliveries that match the filter. Ignores its conditions on messages, which are not known. */
  readonly countLeftOut: (filter: RecordFilter) => number;
  /** 0: the log is empty. */
  readonly newestId: () => number;
  /** Deletes some of the records that exceed the limits. True: call it again for the others. */
  trim: (bounds: Bounds) => boolean;
  readonly isCheckpointDue: (bounds: Bounds) => boolean;
  /** The caller must not write or trim until it ends. Rejects with the error of the disk or of SQLite. */
  checkpoint: (sync: SyncFile) => Promise<void>;
  /** For the last writes, after the last checkpoint: from now on SQLite itself syncs, and blocks meanwhile. */
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
const DELETE_OLD = 500;
const MAX_TRIM_STEPS = 4;
/** Vacuum steps of one `trim`. */
const MAX_VACUUM_STEPS = 32;
/** One step deletes at least this much, or an eighth of the limit. Small, because deleting writes too, and the disk may be full. */
const MIN_STEP_BYTES = 64 * 1024;
/** Ids contain the time: this many can be assigned in a millisecond before they run ahead of it. */
const IDS_PER_MS = 1024;
/** How far the clock may have been set back without hiding records from a filter by time. */
const CLOCK_SKEW_MS = 300_000;
const BUSY_MS = 50;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Counts of unrecorded deliveries older than this are summed by hour. */
const BY_MINUTE_MS = 2 * HOUR_MS;

export function openLogStore(path: string): Store {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // Follow no symbolic links, neither here nor in the names that SQLite opens beside the file.
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
  let tail = readTail(statements);
  let summedAt = -Infinity;

  /** After an error, open the file again: `lastId` and `tail` are not rolled back. */
  const insert = database.transaction(({ records, leftOut }: Batch, bounds: Bounds): void => {
    const now = Date.now();
    lastId = Math.max(lastId, toId(now));
    for (const record of records) {
      lastId += 1;
      statements.insert.run(...toValues(lastId, record));
      tail.block.add(record);
    }
    const minute = now - (now % MINUTE_MS);
    for (const { subscription, entrypoint, application, callbackUrl, status, count } of leftOut) {
      statements.addLeftOut.run(
        minute,
        subscription,
        entrypoint,
        application ?? "",
        callbackUrl,
        status,
        count,
      );
    }
    if (tail.block.count >= BLOCK_RECORDS) endBlock();
    trimSize(bounds);
  });

  function endBlock(): void {
    const { values, oldestMs, newestMs, bloom } = tail.block.summarize();
    statements.insertBlock.run(tail.firstId, lastId, oldestMs, newestMs, JSON.stringify(values), bloom);
    tail = { firstId: lastId + 1, block: createOpenBlock() };
  }

  /** Keeps counts of unrecorded deliveries as long as records. */
  function trimLeftOut(): void {
    const now = Date.now();
    statements.deleteBlocks.run();
    const oldest = statements.oldest.get();
    statements.deleteLeftOut.run((oldest === null ? now : Math.min(toTime(oldest.id), now)) - HOUR_MS);
    if (now - summedAt < HOUR_MS) return;
    summedAt = now;
    const before = now - BY_MINUTE_MS;
    statements.sumHours.run(before - (before % HOUR_MS));
    statements.deleteMinutes.run(before - (before % HOUR_MS));
  }

  function excessBytes(bounds: Bounds): number {
    const pages = statements.pages.get()?.page_count ?? 0;
    const free = statements.freePages.get()?.freelist_count ?? 0;
    return (pages - free) * PAGE_BYTES - roomFor(bounds);
  }

  /** True: the file is still too large. */
  function trimSize(bounds: Bounds): boolean {
    const stepBytes = Math.max(MIN_STEP_BYTES, Math.floor(bounds.maxBytes / 8));
    for (let step = 0; step < MAX_TRIM_STEPS; step += 1) {
      const excess = excessBytes(bounds);
      if (excess <= 0) return false;
      if (step > 0 && checkpoints.isDue(bounds.maxBytes)) return true;
      const last = statements.lastOfBytes.get(Math.min(excess, stepBytes))?.id ?? null;
      if (last === null) return false;
      statements.deleteUpTo.run(last);
      statements.deleteBlocks.run();
    }
    return excessBytes(bounds) > 0;
  }

  /** Shrinks a file whose limit was lowered. True: call it again. */
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

  return {
    write(batch, bounds) {
      if (!isInPlace()) throw new Error("its file was removed or replaced");
      insert.immediate(batch, bounds);
    },
    find(id) {
      const row = statements.find.get(id);
      return row === null ? null : toStoredRecord(row);
    },
    readSlice: (query) => readSlice(statements, { tail, oldestId: oldestId(query.filter) }, query),
    countLeftOut(filter) {
      const { from, to } = filter;
      const start = from === null ? null : toStart(from.getTime(), Date.now());
      const common = { ...EVERY_RECORD, ...filter, from: start, to };
      return statements.sumLeftOut.get(...toCommonParameters(common))?.count ?? 0;
    },
    newestId: () => lastId,
    trim(bounds) {
      const { changes } = statements.deleteBefore.run(toId(Date.now() - bounds.maxAgeMs), DELETE_OLD);
      database.transaction(trimLeftOut).immediate();
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
    for (const table of LAYOUT) database.run(table);
    database.run(`PRAGMA user_version = ${LAYOUT_VERSION}`);
  })();
}

function readVersion(database: Database): number {
  const row = database.query<{ user_version: number }, []>("PRAGMA user_version").get();
  return row?.user_version ?? 0;
}

interface OpenTail {
  readonly firstId: number;
  readonly block: OpenBlock;
}

/** Reads the records that the last run had not put into a block. */
function readTail(statements: Statements): OpenTail {
  const block = createOpenBlock();
  const after = statements.lastBlock.get()?.last_id ?? 0;
  const limit = 2 * BLOCK_RECORDS;
  const rows = statements.brief.up.all(
    ...toCommonParameters(EVERY_RECORD),
    null,
    null,
    null,
    after + 1,
    Number.MAX_SAFE_INTEGER,
    limit,
  );
  for (const row of rows) block.add(toStoredRecord(row));
  return { firstId: after + 1, block };
}

function toId(timeMs: number): number {
  return Math.max(0, timeMs) * IDS_PER_MS;
}

function toTime(id: number): number {
  return Math.floor(id / IDS_PER_MS);
}

/** The start of the minute or hour that contains the time: counts exist for whole ones only. */
function toStart(timeMs: number, now: number): Date {
  const stepMs = timeMs < now - BY_MINUTE_MS ? HOUR_MS : MINUTE_MS;
  return new Date(timeMs - (timeMs % stepMs));
}

/** A lower bound of the ids: a record is written after its date, and its id contains the time of writing. */
function oldestId({ from }: RecordFilter): number {
  return from === null ? 0 : toId(from.getTime() - CLOCK_SKEW_MS);
}

/** `SQLITE_ERROR`: a table or column is missing. */
const BROKEN_CODES: readonly RegExp[] = [/^SQLITE_CORRUPT/u, /^SQLITE_NOTADB/u, /^SQLITE_ERROR$/u];

/** True: the file is unusable, and only a new one helps. */
export function isBroken(error: unknown): boolean {
  if (error instanceof LayoutError) return true;
  if (!(error instanceof SQLiteError)) return false;
  const { code = "" } = error;
  return BROKEN_CODES.some((pattern) => pattern.test(code));
}

/** Renames the file to `….broken`, over an earlier one. */
export function moveAside(path: string): void {
  for (const end of ["", "-wal"]) {
    const aside = `${path}.broken${end}`;
    rmSync(aside, { force: true });
    if (existsSync(path + end)) renameSync(path + end, aside);
  }
  rmSync(`${path}-shm`, { force: true });
}

// The delivery log: queues records, writes them in batches, and serves reads meanwhile.
//
//   append -> queue -> write -> wake the followers
//               |        |-> fault: count it, open the file again, retry the batch
//               |        |-> checkpoint due: write the batch after it
//               |        \-> disk nearly full: delete the oldest records, or write nothing
//               \-> full: drop the record and count it
//
// The log never stops a delivery: no call throws, and `append` never waits for the disk.

import type { DeliveryRecord, RecordFilter } from "#delivery/record.ts";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { type SyncFile, syncFile } from "./checkpoint.ts";
import { type Bounds, boundToDisk, type ReadDisk, readDisk, roomFor } from "./disk.ts";
import { createLeftOutCounts, type LeftOutOrigin } from "./left-out.ts";
import { BATCH_RECORDS, createQueue } from "./queue.ts";
import type { Slice, SliceQuery } from "./read.ts";
import type { StoredRecord } from "./row.ts";
import { isBroken, moveAside, openLogStore, type Store } from "./store.ts";

export interface DeliveryLog {
  /** Called on the hot path. Stores the record unchanged, so it must contain no secret. */
  append: (record: DeliveryRecord) => void;
  /** Called on the hot path: counts a delivery that sampling does not record. */
  leaveOut: (origin: LeftOutOrigin, status: number) => void;
  /** null: there is no such record. */
  readonly find: (id: number) => Result<StoredRecord | null>;
  readonly readSlice: (query: SliceQuery) => Result<Slice>;
  /** Counts unrecorded deliveries that match the filter. Ignores its conditions on messages, which are not known. */
  readonly countLeftOut: (filter: RecordFilter) => Result<number>;
  /** 0: the log is empty. */
  readonly newestId: () => Result<number>;
  /** Waits for a record with a higher id. */
  readonly newerThan: (id: number, signal: AbortSignal) => Promise<WaitEnd>;
  readonly stats: () => DeliveryLogStats;
  setBounds: (bounds: Bounds) => void;
  /** Writes the queue, if possible. */
  close: () => void;
}

export type Result<T> =
  | { readonly kind: "done"; readonly value: T }
  /** The file cannot be used now. */
  | { readonly kind: "unavailable"; readonly reason: string };

export interface DeliveryLogStats {
  readonly written: number;
  readonly dropped: number;
  readonly faults: number;
  /** Why the log cannot be written or read now; null: it can. */
  readonly fault: string | null;
}

export interface DeliveryLogOptions {
  readonly bounds: Bounds;
  readonly logger: Logger;
  readonly sync?: SyncFile;
  readonly disk?: ReadDisk;
}

const FLUSH_MS = 200;
const RETRY_MS = 1000;
const WARN_MS = 60_000;
const TRIM_MS = 10_000;
const TRIM_AGAIN_MS = 25;
const NO_ROOM = "The disk has no room for it: the free space is reserved for the journals";

/** Creates a missing file. If it cannot be opened, each later use retries, at most once per second. */
export function openDeliveryLog(path: string, options: DeliveryLogOptions): DeliveryLog {
  const { logger, sync = syncFile, disk = readDisk } = options;
  const queue = createQueue();
  const leftOut = createLeftOutCounts();
  const waiters = createWaiters();
  let { bounds } = options;
  let store: Store | null = null;
  let written = 0;
  let dropped = 0;
  let faults = 0;
  let fault: string | null = null;
  let hasRoom = true;
  let retryAt = -Infinity;
  let warnedAt = -Infinity;
  let flushTimer: Timer | null = null;
  let isFlushDue = false;
  let isCheckpointing = false;
  let isClosed = false;

  /** Runs `work` on the open file. A success ends a fault. */
  function use<T>(work: (opened: Store) => T): Result<T> {
    const result = tryWith(work);
    if (result.kind === "unavailable" || fault === null) return result;
    logger.info("Delivery log is usable again");
    fault = null;
    return result;
  }

  function tryWith<T>(work: (opened: Store) => T): Result<T> {
    if (isClosed) return { kind: "unavailable", reason: "the relay stops" };
    if (fault !== null && performance.now() < retryAt) return { kind: "unavailable", reason: fault };
    try {
      store ??= openLogStore(path);
      return { kind: "done", value: work(store) };
    } catch (error) {
      return { kind: "unavailable", reason: noteFault(error) };
    }
  }

  const boundsNow = () => boundToDisk(path, bounds, disk);

  /** Logs each change. */
  function noteRoom(next: boolean): void {
    if (next === hasRoom) return;
    hasRoom = next;
    if (hasRoom) return logger.info("Delivery log has room again");
    faults += 1;
    logger.warn("Delivery log is not written", { reason: NO_ROOM, waiting: queue.length, dropped });
  }

  function noteFault(error: unknown): string {
    faults += 1;
    const reason = messageOf(error);
    fault = reason;
    const now = performance.now();
    retryAt = now + RETRY_MS;
    dispose(error);
    if (now - warnedAt >= WARN_MS) {
      warnedAt = now;
      logger.warn("Delivery log cannot be used", { reason, waiting: queue.length, dropped });
    }
    return reason;
  }

  /** The next use opens the file again. */
  function closeStore(): void {
    const closing = store;
    store = null;
    try {
      closing?.close();
    } catch (error) {
      logger.debug("Delivery log not closed", { reason: messageOf(error) });
    }
  }

  function dispose(error: unknown): void {
    closeStore();
    if (!isBroken(error)) return;
    try {
      moveAside(path);
      logger.error("Delivery log moved aside, a new one begun", { reason: messageOf(error) });
    } catch (obstacle) {
      logger.error("Delivery log is broken and cannot be moved aside", { reason: messageOf(obstacle) });
    }
  }

  function append(record: DeliveryRecord): void {
    if (isClosed || !queue.add(record)) {
      dropped += 1;
      return;
    }
    flushTimer ??= setTimeout(flush, FLUSH_MS);
    if (queue.length === BATCH_RECORDS && fault === null) flushSoon();
  }

  function flushSoon(): void {
    if (isFlushDue) return;
    isFlushDue = true;
    setImmediate(flush);
  }

  function flush(): void {
    isFlushDue = false;
    if (flushTimer !== null) clearTimeout(flushTimer);
    flushTimer = null;
    if ((queue.length === 0 && leftOut.isEmpty()) || isClosed || !mayWrite()) return;
    if (!writeBatch()) flushTimer = setTimeout(flush, RETRY_MS);
    else if (queue.length > 0) flushSoon();
  }

  /** False during a checkpoint. Starts one that is due. */
  function mayWrite(): boolean {
    if (isCheckpointing) return false;
    tryWith((opened) => {
      if (opened.isCheckpointDue(boundsNow())) void checkpoint(opened); // Never rejects.
    });
    return !isCheckpointing;
  }

  async function checkpoint(opened: Store): Promise<void> {
    isCheckpointing = true;
    try {
      await opened.checkpoint(sync);
    } catch (error) {
      // Ignore the error of a file that was closed meanwhile.
      if (opened === store) noteFault(error);
    }
    isCheckpointing = false;
    flush();
  }

  function writeBatch(): boolean {
    const records = queue.batch();
    const current = boundsNow();
    noteRoom(roomFor(current) > 0);
    if (!hasRoom) return false;
    const result = use((opened) => opened.write({ records, leftOut: leftOut.list() }, current));
    if (result.kind === "unavailable") return false;
    leftOut.clear();
    queue.remove(records.length);
    written += records.length;
    waiters.wake();
    return true;
  }

  function trim(): void {
    const result = mayWrite() ? use((opened) => opened.trim(boundsNow())) : null;
    const hasMore = result === null || (result.kind === "done" && result.value);
    trimTimer = setTimeout(trim, hasMore ? TRIM_AGAIN_MS : TRIM_MS);
  }

  const newestId = () => use((opened) => opened.newestId());
  let trimTimer = setTimeout(trim, 0);

  return {
    append,
    leaveOut(origin, status) {
      leftOut.add(origin, status);
      flushTimer ??= setTimeout(flush, FLUSH_MS);
    },
    find: (id) => use((opened) => opened.find(id)),
    readSlice: (query) => use((opened) => opened.readSlice(query)),
    countLeftOut: (filter) => use((opened) => opened.countLeftOut(filter)),
    newestId,
    async newerThan(id, signal) {
      const newest = newestId();
      if (newest.kind === "done" && newest.value > id) return "newer";
      return waiters.wait(signal);
    },
    stats: () => ({ written, dropped, faults, fault: fault ?? (hasRoom ? null : NO_ROOM) }),
    setBounds(next) {
      bounds = next;
    },
    close() {
      if (store !== null || queue.length > 0 || !leftOut.isEmpty()) tryWith((opened) => opened.finish());
      while ((queue.length > 0 || !leftOut.isEmpty()) && writeBatch());
      isClosed = true;
      dropped += queue.length;
      if (queue.length > 0)
        logger.warn("Delivery log ends without its last records", { records: queue.length });
      if (flushTimer !== null) clearTimeout(flushTimer);
      clearTimeout(trimTimer);
      waiters.close();
      closeStore();
    },
  };
}

type WaitEnd = "newer" | "aborted" | "closed";

interface Waiters {
  readonly wait: (signal: AbortSignal) => Promise<WaitEnd>;
  wake: () => void;
  /** Ends all waits: no more records will come. */
  close: () => void;
}

function createWaiters(): Waiters {
  const waiting = new Set<(how: WaitEnd) => void>();
  let isClosed = false;

  function endAll(how: WaitEnd): void {
    for (const end of waiting) end(how);
  }

  return {
    wait(signal) {
      if (isClosed) return Promise.resolve("closed");
      if (signal.aborted) return Promise.resolve("aborted");
      return new Promise((resolve) => {
        const end = (how: WaitEnd) => {
          signal.removeEventListener("abort", onAbort);
          waiting.delete(end);
          resolve(how);
        };
        const onAbort = () => end("aborted");
        signal.addEventListener("abort", onAbort);
        waiting.add(end);
      });
    },
    wake: () => endAll("newer"),
    close() {
      isClosed = true;
      endAll("closed");
    },
  };
}

// A KV bucket that all relays of the cluster share, held here as a mirror: read at once, written as soon as it can be.

import type { Logger } from "#lib/logger.ts";

import { createBucketFault } from "./bucket-fault.ts";
import {
  type BucketEntry,
  type BucketListener,
  createMirror,
  MAX_KEYS,
  MAX_VALUE_BYTES,
} from "./bucket-mirror.ts";
import { startBucketReading } from "./bucket-reading.ts";
import { writeKey, type WriteResult } from "./bucket-write.ts";
import { startBucketWriting } from "./bucket-writing.ts";
import type { Connection } from "./connection.ts";
import { settlesWithin } from "./settles-within.ts";

export interface Condition {
  /** 0: the key must not exist. */
  readonly expectedRevision: number;
  readonly signal: AbortSignal;
}

export interface Bucket {
  /** Waits until the content was read for the first time: true. False when `signal` aborts or it is closed first. */
  ready: (signal: AbortSignal) => Promise<boolean>;
  /** Why it cannot be used just now; null: it can. It is tried again for ever. */
  fault: () => string | null;
  /** As last seen, with local changes that are not written yet. */
  get: (key: string) => BucketEntry | null;
  /** Those whose key begins with `prefix`, sorted by key. */
  list: (prefix: string) => readonly BucketEntry[];
  /**
   * Seen here at once, and written as soon as it can be, over whatever others wrote in the meantime. What cannot be
   * taken (value over 256 KiB, impossible key, too many keys) is logged as an error and has no effect.
   */
  put: (key: string, value: string) => void;
  remove: (key: string) => void;
  /** Written now, within 2 s, or not at all; seen here once it is. Never rejects. */
  write: (key: string, value: string, condition: Condition) => Promise<WriteResult>;
  erase: (key: string, condition: Condition) => Promise<WriteResult>;
  /**
   * Told of each change of a value as seen here, by whosever hand, but not of a mere new revision; null: removed. What
   * was there when it was read for the first time is told too. Returns how to stop that.
   */
  onChange: (listener: BucketListener) => () => void;
  /** Tries to write what is not written yet; takes 2 s at most. */
  close: () => Promise<void>;
}

const FLUSH_MS = 1000;
const CLOSE_MS = 1000;
/** Tokens of a subject. */
const KEY = /^[-=\w]+(?:\.[-=\w]+)*$/u;
const MAX_KEY_LENGTH = 256;

/** Made where it is missing, with `replicas` (default 1) copies; never changed where it exists. */
export function openBucket(
  connection: Connection,
  { name, logger, replicas }: { name: string; logger: Logger; replicas?: () => Promise<number> },
): Bucket {
  const ended = new AbortController();
  const waiting = new Set<() => void>();
  const mirror = createMirror({ logger, bucket: name });
  const fault = createBucketFault(() => connection.isConnected, { logger, bucket: name });
  let isRead = false;
  let closing: Promise<void> | null = null;

  const writing = startBucketWriting(connection, {
    bucket: name,
    mirror,
    onFault: (reason) => fault.set("write", reason),
  });
  const reading = startBucketReading(connection, {
    bucket: name,
    mirror,
    logger,
    replicas: replicas ?? (() => Promise.resolve(1)),
    onFault: (reason) => fault.set("read", reason),
    onRead: () => {
      isRead = true;
      fault.set("read", null);
      writing.wake();
      for (const end of waiting) end();
    },
  });
  const forget = connection.onReconnect(() => {
    fault.reconnected();
    reading.restart();
    writing.wake();
  });

  function ready(signal: AbortSignal): Promise<boolean> {
    if (isRead || signal.aborted || ended.signal.aborted) return Promise.resolve(isRead);
    return new Promise((resolve) => {
      const end = () => {
        waiting.delete(end);
        signal.removeEventListener("abort", end);
        resolve(isRead);
      };
      waiting.add(end);
      signal.addEventListener("abort", end);
    });
  }

  function change(key: string, value: string | null): void {
    const obstacle = findObstacle(key, value);
    const isCovered = obstacle === null && mirror.cover({ key, value });
    if (isCovered) return writing.wake();
    const reason = obstacle ?? "too many keys";
    logger.error("Cannot change a key of the bucket", { bucket: name, key, reason });
  }

  async function changeIf(
    key: string,
    value: string | null,
    { expectedRevision, signal }: Condition,
  ): Promise<WriteResult> {
    const obstacle = findObstacle(key, value);
    if (obstacle !== null) return { kind: "refused", reason: obstacle };
    const isAddition = value !== null && mirror.get(key) === null;
    if (isAddition && mirror.count() >= MAX_KEYS)
      return { kind: "refused", reason: `the bucket has ${MAX_KEYS} keys` };
    const stopped = AbortSignal.any([signal, ended.signal]);
    const result = await writeKey(connection, { bucket: name, key, value, expectedRevision }, stopped);
    if (result.kind === "written") mirror.written({ key, value }, result.revision);
    return result;
  }

  async function end(): Promise<void> {
    forget();
    await settlesWithin(writing.flush(), FLUSH_MS);
    const changes = mirror.unwritten().length;
    if (changes > 0) logger.warn("Changes of the bucket were not written", { bucket: name, changes });
    ended.abort();
    for (const stop of waiting) stop();
    await settlesWithin(Promise.all([reading.close(), writing.close()]), CLOSE_MS);
  }

  return {
    ready,
    fault: fault.current,
    get: mirror.get,
    list: mirror.list,
    put: change,
    remove: (key) => change(key, null),
    write: changeIf,
    erase: (key, condition) => changeIf(key, null, condition),
    onChange: mirror.onChange,
    close: () => (closing ??= end()),
  };
}

/** Why a bucket cannot hold that; null: it can. */
function findObstacle(key: string, value: string | null): string | null {
  if (key.length > MAX_KEY_LENGTH || !KEY.test(key)) return "impossible key";
  if (value === null || Buffer.byteLength(value) <= MAX_VALUE_BYTES) return null;
  return `value larger than ${MAX_VALUE_BYTES / 1024} KiB`;
}

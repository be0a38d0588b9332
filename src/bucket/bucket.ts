// The KV bucket that all relays of the cluster share: reads from a local mirror at once, writes as soon as possible.

import type { Logger } from "#lib/logger.ts";

import { openCommandFile } from "./commands.ts";
import { createBucketFault } from "./fault.ts";
import {
  type BucketEntry,
  type BucketListener,
  createMirror,
  MAX_KEYS,
  MAX_VALUE_BYTES,
  toLocalChange,
} from "./mirror.ts";
import { type BucketAnswer, readKey } from "./message.ts";
import { startBucketReading } from "./reading.ts";
import type { BucketSigner } from "./signer.ts";
import { createBucketUpdates, type Decide, type UpdateResult } from "./update.ts";
import { writeKey, type WriteResult } from "./write.ts";
import { startBucketWriting } from "./writing.ts";
import type { Connection } from "#nats/connection.ts";
import { settlesWithin } from "#lib/settles-within.ts";

export interface Condition {
  /** 0: the key must not exist. */
  readonly expectedRevision: number;
  readonly signal: AbortSignal;
}

export interface Bucket {
  /** Waits for the first complete read. False: `signal` aborted, or it was closed. */
  ready: (signal: AbortSignal) => Promise<boolean>;
  /** Why the bucket cannot be used now; null: it can. Relay keeps retrying. */
  fault: () => string | null;
  /** The last value received, or a local change that is not written yet. */
  get: (key: string) => BucketEntry | null;
  /** Entries whose key begins with `prefix`, sorted by key. */
  list: (prefix: string) => readonly BucketEntry[];
  /**
   * Takes effect here at once, and is written as soon as possible, over newer values of others. An invalid change (value
   * over 256 KiB, invalid key, too many keys) is logged as an error and has no effect.
   */
  put: (key: string, value: string) => void;
  remove: (key: string) => void;
  /**
   * Runs a command: decides on the stored values, not on the mirror, and stores the result by compare and set. If that takes
   * too long, the command is visible here at once and waits, on disk if possible; a later change that another relay stores
   * overrides it. Never rejects.
   */
  update: (keys: readonly string[], decide: Decide) => Promise<UpdateResult>;
  /** Why a command for one of these keys still waits to be stored; null: none waits. */
  waiting: (keys: readonly string[]) => string | null;
  /** Keys of entries without a valid signature. Relay ignores such entries until a command overwrites them. */
  refusedKeys: () => readonly string[];
  /** Reads the stored value from the leader of the bucket's stream. Never rejects. */
  read: (key: string) => Promise<BucketAnswer>;
  /** Writes within 5 s or not at all; visible here once written. Never rejects. */
  write: (key: string, value: string, condition: Condition) => Promise<WriteResult>;
  erase: (key: string, condition: Condition) => Promise<WriteResult>;
  /**
   * Calls `listener` on each change of a value, by any relay, and for each entry of the first read; not for a new revision of
   * the same value. null: removed. Returns the unsubscribe.
   */
  onChange: (listener: BucketListener) => () => void;
  /** Tries to write pending changes; takes 2 s at most. */
  close: () => Promise<void>;
}

/** Between two complete reads after conflicts. */
const READ_AGAIN_MS = 5000;
const FLUSH_MS = 1000;
const CLOSE_MS = 1000;
/** A valid key: tokens of a subject. */
const KEY = /^[-=\w]+(?:\.[-=\w]+)*$/u;
const MAX_KEY_LENGTH = 256;

export interface BucketOptions {
  readonly name: string;
  readonly logger: Logger;
  readonly replicas?: () => Promise<number>;
  /** File for waiting commands; null: memory only. */
  readonly commandPath: string | null;
  /** Signs and verifies entries; null: unsigned entries count. */
  readonly signer: BucketSigner | null;
}

/** Creates a missing bucket with `replicas` (default 1) copies; never changes an existing one. */
export function openBucket(
  connection: Connection,
  { name, logger, replicas, commandPath, signer }: BucketOptions,
): Bucket {
  const ended = new AbortController();
  const waiting = new Set<() => void>();
  const mirror = createMirror({ logger, bucket: name, signer });
  const fault = createBucketFault(() => connection.isConnected, { logger, bucket: name });
  let isRead = false;
  let closing: Promise<void> | null = null;
  let readAgainAt = Number.NEGATIVE_INFINITY;

  let serverOffsetMs: number | null = null;
  const commandFile = openCommandFile({
    path: commandPath,
    bucket: name,
    waiting: () => mirror.unwritten().filter(({ commandedAt }) => commandedAt !== null),
    logger,
  });
  for (const change of commandFile.left)
    if (findObstacle(change.key, change.value) === null) mirror.cover(change);
  const writing = startBucketWriting(connection, {
    bucket: name,
    signer,
    mirror,
    logger,
    serverOffsetMs: () => serverOffsetMs,
    onCommandEnded: () => void commandFile.save(), // Never rejects.
    onFault: (reason) => fault.set("write", reason),
  });
  const reading = startBucketReading(connection, {
    bucket: name,
    mirror,
    logger,
    replicas: replicas ?? (() => Promise.resolve(1)),
    onFault: (reason) => fault.set("read", reason),
    onServerTime: (at, hereAt) => (serverOffsetMs = at - hereAt),
    onRead: () => {
      isRead = true;
      fault.set("read", null);
      mirror.retryRefused();
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
    const isCovered = obstacle === null && mirror.cover(toLocalChange(key, value));
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
    // Earlier puts must not be written after this command.
    if (mirror.unwritten().some((change) => change.key === key)) await writing.flush();
    const stopped = AbortSignal.any([signal, ended.signal]);
    const change = toLocalChange(key, value);
    const result = await writeKey(
      connection,
      { bucket: name, signer, ...change, expectedRevision, id: null },
      stopped,
    );
    if (result.kind === "written") mirror.written(change, result.revision);
    if (result.kind === "conflict") await catchUp(key);
    return result;
  }

  /** After a conflict: what is known of a key is not what the server has, and no change may come to tell. */
  async function catchUp(key: string): Promise<void> {
    const known = mirror.get(key)?.revision ?? 0;
    const answer = await readKey(connection, name, key);
    if (answer.kind === "found" && answer.message.revision >= known) mirror.learn({ key, ...answer.message });
    // A server that was killed may have lost its last entries.
    else if (answer.kind !== "unavailable") readAgain();
  }

  function readAgain(): void {
    if (performance.now() - readAgainAt < READ_AGAIN_MS) return;
    readAgainAt = performance.now();
    reading.restart();
  }

  const updates = createBucketUpdates(connection, {
    bucket: name,
    signer,
    mirror,
    writing,
    commandFile,
    ready,
    findObstacle,
    signal: ended.signal,
  });

  async function end(): Promise<void> {
    forget();
    await settlesWithin(writing.flush(), FLUSH_MS);
    const changes = mirror.unwritten().length;
    if (changes > 0) logger.warn("Did not write all changes to the bucket", { bucket: name, changes });
    await commandFile.save();
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
    update: updates.update,
    waiting: (keys) => (updates.isWaiting(keys) ? (fault.current() ?? "it is on its way to NATS") : null),
    async read(key) {
      const answer = await readKey(connection, name, key);
      if (answer.kind !== "found") return answer;
      const { value } = mirror.judge({ key, ...answer.message });
      return { kind: "found", message: { ...answer.message, value } };
    },
    refusedKeys: mirror.refusedKeys,
    write: changeIf,
    erase: (key, condition) => changeIf(key, null, condition),
    onChange: mirror.onChange,
    close: () => (closing ??= end()),
  };
}

/** Why a bucket cannot hold this entry; null: it can. */
function findObstacle(key: string, value: string | null): string | null {
  if (key.length > MAX_KEY_LENGTH || !KEY.test(key)) return "impossible key";
  if (value === null || Buffer.byteLength(value) <= MAX_VALUE_BYTES) return null;
  return `value larger than ${MAX_VALUE_BYTES / 1024} KiB`;
}

// Keeps the mirror up to date: reads the whole bucket, then each change, and all again when a change may be missing.
//
//   opening --no such bucket--> created, filled with the known entries --> opening
//   opening --consumer made--> reading --all delivered--> following --gap, silence, reconnect--> opening
//   opening --refused, no answer--> waiting --backoff, reconnect--> opening

import { repeatDelayMs } from "#delivery/backoff.ts";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";

import { deletion } from "#nats/answers.ts";
import { requestApi } from "#nats/api.ts";
import { createWakeUp } from "./wake-up.ts";
import { type Feed, openFeed, type StoredChange } from "./feed.ts";
import { readBucketMessage } from "./message.ts";
import { type Mirror, REFUSED, toLocalChange } from "./mirror.ts";
import { makeBucketStream, streamOfBucket, subjectOfKey } from "./stream.ts";
import type { Connection } from "#nats/connection.ts";

interface BucketReading {
  /** Reads everything again at once: after a reconnect, changes may be missing. */
  restart: () => void;
  /** Stops reading and deletes the consumer; bounded. */
  close: () => Promise<void>;
}

interface ReadingOptions {
  readonly bucket: string;
  readonly mirror: Mirror;
  readonly logger: Logger;
  readonly replicas: () => Promise<number>;
  /** Called after each complete read: the mirror equals the bucket. */
  readonly onRead: () => void;
  /** The server's clock, and this host's clock in the middle of the request. */
  readonly onServerTime: (at: number, hereAt: number) => void;
  readonly onFault: (reason: string) => void;
}

/** `fault`: why reading failed; null: it worked, or is retried at once. */
interface Reading {
  readonly wasComplete: boolean;
  readonly fault: string | null;
}

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5000;
const RECONNECTED = "reconnected";

export function startBucketReading(connection: Connection, options: ReadingOptions): BucketReading {
  const { bucket, mirror, logger } = options;
  const ended = new AbortController();
  const wakeUp = createWakeUp(ended.signal);
  let feed: Feed | null = null;
  /** Ends requests on a lost connection. */
  let abandoned: Promise<void> = Promise.resolve();
  let restarted = Promise.withResolvers<null>();

  async function run(): Promise<void> {
    for (let tries = 1; !ended.signal.aborted; tries += 1) {
      const { wasComplete, fault } = await readOnce();
      if (fault !== null) options.onFault(fault);
      if (wasComplete) tries = 1;
      const random = Math.random();
      await wakeUp.wait(repeatDelayMs(tries, { initialMs: FIRST_RETRY_MS, maxMs: MAX_RETRY_MS, random }));
    }
  }

  /** Runs one feed to its end; returns at once if it cannot begin. */
  async function readOnce(): Promise<Reading> {
    let wasComplete = false;
    let isCurrent = true;
    restarted = Promise.withResolvers();
    mirror.beginReading();
    const askedAt = Date.now();
    const opening = openFeed(connection, bucket, {
      onChange: (change) => isCurrent && take(change),
      onCaughtUp: () => {
        if (!isCurrent) return;
        wasComplete = true;
        mirror.endReading();
        options.onRead();
        void sweep();
      },
    });
    const opened = await Promise.race([opening, restarted.promise]);
    if (opened === null) {
      isCurrent = false;
      abandoned = opening.then((late) => (late.kind === "open" ? late.feed.close() : undefined));
      return { wasComplete, fault: null };
    }
    if (opened.kind === "missing") return { wasComplete, fault: await make() };
    if (opened.kind === "unavailable") return { wasComplete, fault: opened.reason };
    options.onServerTime(opened.serverTime, (askedAt + Date.now()) / 2);
    ({ feed } = opened);
    if (ended.signal.aborted) await feed.close();
    const reason = await feed.ended;
    if (ended.signal.aborted) return { wasComplete, fault: null };
    logger.debug("Reading the bucket again", { bucket, reason });
    void feed.close();
    return { wasComplete, fault: wasComplete || reason === RECONNECTED ? null : reason };
  }

  async function make(): Promise<string | null> {
    try {
      const made = await makeBucketStream(connection, bucket, await options.replicas());
      if (made.kind === "impossible") return made.reason;
      if (made.isUnused) fill();
      wakeUp.call();
      return null;
    } catch (error) {
      return `the number of its replicas is not known: ${messageOf(error)}`;
    }
  }

  /** Restores a deleted bucket, so that pauses survive. Only into an unused bucket, so that no change is undone. */
  function fill(): void {
    const known = mirror.list("");
    for (const { key, value } of known) if (value !== REFUSED) mirror.cover(toLocalChange(key, value));
    if (known.length === 0) logger.info("Created the bucket", { bucket });
    else
      logger.warn("The bucket was deleted: re-created it with the known entries", {
        bucket,
        keys: known.length,
      });
  }

  function take(change: StoredChange): void {
    mirror.take(change);
    if (change.value === null) void sweep();
  }

  /**
   * Deletes old delete markers one by one: after a purge of a subject, consumers of nats-server 2.9 miss the next messages.
   * Reads each one first: in a re-created bucket, the sequence may belong to another message.
   */
  async function sweep(): Promise<void> {
    for (const { key, revision } of mirror.takeOldMarks()) {
      const answer = await readBucketMessage(connection, bucket, { seq: revision });
      if (answer.kind !== "found") continue;
      const { value, subject } = answer.message;
      if (value !== null || subject !== subjectOfKey(bucket, key)) continue;
      const call = `STREAM.MSG.DELETE.${streamOfBucket(bucket)}`;
      const body = { seq: revision, no_erase: true };
      const deleted = await requestApi(connection, { domain: null, call, body, schema: deletion });
      if (deleted.kind === "unavailable" || ended.signal.aborted) return;
    }
  }

  const running = run();

  return {
    restart: () => {
      wakeUp.call();
      restarted.resolve(null);
      feed?.end(RECONNECTED);
    },
    async close() {
      ended.abort();
      restarted.resolve(null);
      await feed?.close();
      await running;
      await abandoned;
    },
  };
}

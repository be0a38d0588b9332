// Reads a bucket into its mirror for ever: all of it, then each change, and all of it again when a change may be missing.
//
//   opening --no such bucket--> made, filled with what was known --> opening
//   opening --consumer made--> reading --everything told--> following --gap, silence, reconnect--> opening
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
  /** Reads all of it again, at once: after a reconnect nobody knows what was missed. */
  restart: () => void;
  /** Takes its consumer from the server; bounded. Nothing is read after that. */
  close: () => Promise<void>;
}

interface ReadingOptions {
  readonly bucket: string;
  readonly mirror: Mirror;
  readonly logger: Logger;
  readonly replicas: () => Promise<number>;
  /** The mirror is as the bucket is; each time anew. */
  readonly onRead: () => void;
  /** What the server's clock said, and this host's in the middle of the request. */
  readonly onServerTime: (at: number, hereAt: number) => void;
  readonly onFault: (reason: string) => void;
}

/** `fault`: why there is nothing to read; null: there was, or there will be at once. */
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
  /** What is asked on a connection that is gone is not waited for. */
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

  /** Until the feed ends, or could not begin. */
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
    logger.debug("The bucket is read anew", { bucket, reason });
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

  /** A pause is not to end because somebody deleted the bucket. Into an unused one only: nobody's change is undone by that. */
  function fill(): void {
    const known = mirror.list("");
    for (const { key, value } of known) if (value !== REFUSED) mirror.cover(toLocalChange(key, value));
    if (known.length === 0) logger.info("Made the bucket", { bucket });
    else logger.warn("The bucket was deleted: made anew with what was known", { bucket, keys: known.length });
  }

  function take(change: StoredChange): void {
    mirror.take(change);
    if (change.value === null) void sweep();
  }

  /**
   * Removals leave marks for those who follow; old ones are deleted, one by one: a purge of a subject makes consumers of
   * nats-server 2.9 miss what comes next. Looked at first: in a bucket made anew the number may be another message's.
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

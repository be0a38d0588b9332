// The replay guard: remembers what was completed, so that a server which forgot an acknowledgement causes no second request.
//
// It may cause a duplicate, never a loss. So its floor is the server's word and never computed here; an entry counts only for
// the very message it was made for (sequence and time: a server that lost its tail gives a sequence out again); what the stream
// lost is forgotten, and a stream or a consumer that is another one makes it forget everything.

import { rm } from "node:fs/promises";
import { type Logger } from "#lib/logger.ts";
import { messageOf } from "#lib/errors.ts";
import type { Message } from "#delivery/message.ts";
import type { AlignedConsumer } from "#nats/consumer.ts";
import { isSameConsumer } from "#nats/consumer-info.ts";
import type { Position } from "#nats/consumer-start.ts";
import { type JournalHead, openJournal } from "./journal.ts";

export interface Guard {
  /** Where a lost consumer is to be made again; null: nothing is known of one. */
  position: () => Position | null;
  /** Tells which stream and consumer it is about from now on; forgets what does not fit them. */
  align: (consumer: AlignedConsumer) => Promise<void>;
  isDone: (message: Message) => boolean;
  /** On disk within a quarter of a second, or at once if the guard is prompt. */
  markDone: (message: Message) => void;
  /** On disk, synced, when it resolves. Rejects with the file system's error. */
  markDoneDurably: (message: Message) => Promise<void>;
  /** Does nothing where the file is sound; else writes it anew, or rejects with the file system's error. */
  repair: () => Promise<void>;
  /** The server's acknowledgement floor: what lies below it needs no entry of its own. null: not known. */
  advance: (floor: number | null) => Promise<void>;
  /** Nothing counts as done any more, and the place is not known: for a consumer that was moved on purpose. */
  forget: () => Promise<void>;
  /** Entries above the floor. */
  readonly size: number;
  /** Writes what is not on disk yet. From then on nothing is written any more. */
  close: () => Promise<void>;
}

const FLUSH_DELAY_MS = 250;
const MAX_ENTRIES = 65_536;
/** So many are dropped at once: the first of a Map is slow to find where one after the other is deleted. */
const DROPPED_AT_ONCE = 4096;
const WARNING_INTERVAL_MS = 60_000;
/** No consumer was made then: the next one that is aligned does not fit. */
const NEVER = new Date(0).toISOString();

export interface GuardOptions {
  /**
   * Each completion is written at once, though not synced: when relay and server are killed together, not even a quarter
   * of a second is repeated. For subscriptions in order, which complete one message at a time.
   */
  readonly isPrompt: boolean;
  readonly logger: Logger;
}

/** Opens the guard that is kept in the file at `path`. Rejects with the file system's error. */
export async function openGuard(path: string, { isPrompt, logger }: GuardOptions): Promise<Guard> {
  const opened = await openJournal(path);
  const { journal } = opened;
  let head: JournalHead | null = opened.head;
  const done = new Map<number, bigint>();
  let highest = head?.floor ?? 0;
  for (const entry of opened.entries) remember(entry.sequence, entry.timestampNanos);
  let lastWarningAt = -Infinity;

  function remember(sequence: number, timestampNanos: bigint): void {
    done.set(sequence, timestampNanos);
    highest = Math.max(highest, sequence);
    if (done.size <= MAX_ENTRIES) return;
    for (const oldest of done.keys().take(DROPPED_AT_ONCE)) done.delete(oldest);
  }

  /** A guard that cannot be written may cost a duplicate after a crash: said once a minute, never a reason to stop. */
  function warn(error: unknown): void {
    if (performance.now() - lastWarningAt < WARNING_INTERVAL_MS) return;
    lastWarningAt = performance.now();
    logger.warn("Cannot write the journal: a crash now may cause duplicates", {
      path,
      error: messageOf(error),
    });
  }

  function rewrite(next: JournalHead): Promise<void> {
    const entries = [...done].map(([sequence, timestampNanos]) => ({ sequence, timestampNanos }));
    return journal.rewrite(next, entries);
  }

  /** What is in memory gets on disk, in one way or the other. */
  async function persist({ isDurable }: { isDurable: boolean }): Promise<void> {
    if (!journal.needsRewrite) return journal.flush({ isDurable });
    if (head !== null) return rewrite(head);
    if (isDurable) throw new Error("The consumer is not known yet");
  }

  let isClosed = false;
  let isFlushing = false;
  let isFlushWanted = false;
  let flushTimer: Timer | null = null;

  /** Nothing runs while there is nothing to write. */
  function flushSoon(): void {
    if (isClosed) return;
    flushTimer ??= setTimeout(() => {
      flushTimer = null;
      void flush(); // Never rejects.
    }, FLUSH_DELAY_MS);
  }

  /** What is not written now is tried again. */
  function onFault(error: unknown): void {
    warn(error);
    flushSoon();
  }

  async function flush(): Promise<void> {
    isFlushWanted = true;
    if (isFlushing) return;
    isFlushing = true;
    while (isFlushWanted) {
      isFlushWanted = false;
      await persist({ isDurable: false }).catch(onFault);
    }
    isFlushing = false;
  }

  async function save(next: JournalHead): Promise<void> {
    if (isClosed) return;
    head = next;
    await rewrite(next).catch(onFault);
  }

  function markDone({ sequence, timestampNanos }: Message): void {
    remember(sequence, timestampNanos);
    journal.append({ sequence, timestampNanos });
    flushSoon();
  }

  function fits(consumer: AlignedConsumer, known: JournalHead): boolean {
    if (consumer.streamCreated !== known.streamCreated) return false;
    return consumer.change === "recreated" || isSameConsumer(consumer.consumerCreated, known.consumerCreated);
  }

  /**
   * The stream lost its tail, and what it has by now may have sequences of that: what was completed is told by its time
   * from it, but the place only by the server.
   */
  function withoutTail(known: JournalHead, { lastSequence, ackFloor }: AlignedConsumer): JournalHead {
    for (const sequence of done.keys()) if (sequence > lastSequence) done.delete(sequence);
    highest = lastSequence;
    return { ...known, place: ackFloor, floor: Math.min(known.floor, lastSequence) };
  }

  async function advance(ackFloor: number | null): Promise<void> {
    if (head === null || ackFloor === null) return;
    const place = Math.max(head.place ?? 0, ackFloor);
    const floor = Math.max(head.floor, ackFloor);
    if (place === head.place && floor === head.floor) return;
    let { floorTimestampNanos } = head;
    for (const [sequence, timestampNanos] of done) {
      // Not the floor, which may be that of a lost tail: what has its sequences now counts alone.
      if (sequence > ackFloor) continue;
      done.delete(sequence);
      if (timestampNanos > floorTimestampNanos) floorTimestampNanos = timestampNanos;
    }
    await save({ ...head, place, floor, floorTimestampNanos });
  }

  return {
    position: () => (head === null ? null : { streamCreated: head.streamCreated, sequence: head.place }),
    async align(consumer) {
      const { streamCreated, consumerCreated, ackFloor } = consumer;
      if (head === null || !fits(consumer, head)) {
        done.clear();
        const floor = ackFloor ?? 0;
        highest = floor;
        await save({ streamCreated, consumerCreated, place: ackFloor, floor, floorTimestampNanos: 0n });
        return;
      }
      const known = consumer.lastSequence < highest ? withoutTail(head, consumer) : head;
      await save({ ...known, consumerCreated });
      await advance(ackFloor);
    },
    isDone({ sequence, timestampNanos }) {
      if (head === null) return false;
      if (sequence <= head.floor && timestampNanos <= head.floorTimestampNanos) return true;
      return done.get(sequence) === timestampNanos;
    },
    markDone(message) {
      markDone(message);
      if (isPrompt) void flush(); // Never rejects.
    },
    async markDoneDurably(message) {
      markDone(message);
      await persist({ isDurable: true });
    },
    async repair() {
      if (journal.needsRewrite && head !== null) await rewrite(head);
    },
    advance,
    async forget() {
      done.clear();
      highest = 0;
      const nothing = { consumerCreated: NEVER, place: null, floor: 0, floorTimestampNanos: 0n };
      if (head !== null) await save({ ...head, ...nothing });
    },
    get size() {
      return done.size;
    },
    async close() {
      isClosed = true;
      if (flushTimer !== null) clearTimeout(flushTimer);
      await persist({ isDurable: false }).catch(warn);
      await journal.close().catch(warn);
    },
  };
}

/** What is kept of a subscription that is no more. Never rejects: what stays takes some space. */
export async function removeGuard(path: string): Promise<void> {
  await rm(path, { force: true }).catch(() => undefined);
}

// The replay guard: remembers what was completed, so that a server which forgot an acknowledgement causes no second request.
//
//   completed -> entry --floor passes it--> former entry --next floor--> dropped
//                                                 \-> the newest is the witness
//
// It may cause a duplicate, never a loss. An entry is the very message that was completed, by sequence and time: a server that
// lost its tail gives a sequence out again, and its clock may be behind. What has no entry any more counts as done only while
// the server delivers again what lies below its own former floor, and only up to a message that the stream was seen to have
// still (`Continuity`). What somebody else made anew makes it forget.

import { rm } from "node:fs/promises";
import { type Logger } from "#lib/logger.ts";
import { messageOf } from "#lib/errors.ts";
import { onNextTick } from "#lib/ticks.ts";
import type { Message } from "#delivery/message.ts";
import type { AlignedConsumer } from "#consumer/consumer.ts";
import { isSameConsumer } from "#consumer/info.ts";
import { isSameTime } from "#consumer/start.ts";
import type { RememberedPosition } from "#consumer/position.ts";
import {
  type JournalEntry,
  type JournalHead,
  type JournalLine,
  openJournal,
  probeJournal,
} from "./journal.ts";

export interface Guard {
  /** Where a lost consumer is to be made again; null: nothing is known of one. */
  position: () => RememberedPosition | null;
  /** The stream was missing: one that is made later has nothing that came before the subscription. */
  expectStream: () => Promise<void>;
  /** Tells which stream and consumer it is about from now on; forgets what does not fit them. */
  align: (consumer: AlignedConsumer) => Promise<void>;
  isDone: (message: Message) => boolean;
  /** On disk within a quarter of a second, or at once if the guard is prompt. */
  markDone: (message: Message) => void;
  /** On disk, synced, when it resolves. Rejects with the file system's error. */
  markDoneDurably: (message: Message) => Promise<void>;
  /** Does nothing where the file is sound; else writes it anew, or rejects with the file system's error. */
  repair: () => Promise<void>;
  /** The server's acknowledgement floor: what lies below it soon needs no entry of its own. null: not known. */
  advance: (floor: number | null) => Promise<void>;
  /** Nothing counts as done any more, and the place is not known: for a consumer that was moved on purpose. */
  forget: () => Promise<void>;
  /** Entries above the last floor. */
  readonly size: number;
  /** Writes what is not on disk yet. From then on nothing is written any more. */
  close: () => Promise<void>;
}

const FLUSH_DELAY_MS = 250;
/** Between two tries to write where the disk fails. */
const FAULT_DELAY_MS = 2000;
const MAX_ENTRIES = 65_536;
/** So many are dropped at once: the first of a Map is slow to find where one after the other is deleted. */
const DROPPED_AT_ONCE = 4096;
/** Of one floor each, which is read every 15 s as a rule: where the stream lost more than the entries, they tell how much. */
const MAX_WITNESSES = 32;
/** No stream and no consumer was made then. */
const NEVER = new Date(0).toISOString();
const NOTHING: JournalHead = {
  streamCreated: NEVER,
  consumerCreated: NEVER,
  place: null,
  witness: null,
  completed: 0,
};

interface GuardOptions {
  /**
   * Each completion is written at once, though not synced: when relay and server are killed together, not even a quarter
   * of a second is repeated. For subscriptions in order, which complete one message at a time.
   */
  readonly isPrompt: boolean;
  /** False: where the file cannot be written, memory serves until it can. */
  readonly needsFile: boolean;
  readonly logger: Logger;
}

/** Opens the guard that is kept in the file at `path`. Rejects with the file system's error where it needs the file. */
export async function openGuard(path: string, { isPrompt, needsFile, logger }: GuardOptions): Promise<Guard> {
  const { journal, lines, fault } = await openJournal(path);
  if (needsFile) {
    if (fault !== null) throw fault;
    await probeJournal(path).catch(async (error: unknown) => {
      await journal.close();
      throw error;
    });
  }
  let head: JournalHead | null = null;
  let done = new Map<number, bigint>();
  /** Those that the last floor has passed: the server may have told it, and forget it a moment later. */
  let former = new Map<number, bigint>();
  /** Of the floors before, the oldest first. */
  let witnesses: JournalEntry[] = [];
  /** Up to here all is done of what the server delivers again; 0: only entries count. */
  let repeatedUpTo = 0;
  /** The highest that the server told since the last alignment. */
  let toldFloor: number | null = null;
  let isFaulty = false;
  for (const line of lines) replay(line);
  if (fault !== null) warn(fault);

  function replay(line: JournalLine): void {
    if (line.kind === "head") {
      setHead(line.head);
      passEntries(line.head.place);
    } else if (line.entry.sequence > (head?.place ?? -1)) remember(line.entry);
    else former.set(line.entry.sequence, line.entry.timestampNanos);
  }

  function setHead(next: JournalHead): void {
    const { witness } = next;
    head = next;
    if (witness === null) return;
    const before = witnesses.filter(({ sequence }) => sequence < witness.sequence);
    witnesses = [...before, witness].slice(-MAX_WITNESSES);
  }

  /** With what it told before. */
  function headsOf(newest: JournalHead): readonly JournalHead[] {
    return [...witnesses.map((witness) => ({ ...newest, witness })), newest];
  }

  function remember({ sequence, timestampNanos }: JournalEntry): void {
    done.set(sequence, timestampNanos);
    if (done.size <= MAX_ENTRIES) return;
    for (const oldest of done.keys().take(DROPPED_AT_ONCE)) done.delete(oldest);
  }

  /** Null: the floor has passed none. */
  function passEntries(floor: number | null): JournalEntry | null {
    if (floor === null) return null;
    const passed = new Map<number, bigint>();
    let newest: JournalEntry | null = null;
    for (const [sequence, timestampNanos] of done) {
      if (sequence > floor) continue;
      done.delete(sequence);
      passed.set(sequence, timestampNanos);
      if (newest === null || sequence > newest.sequence) newest = { sequence, timestampNanos };
    }
    if (newest !== null) former = passed;
    return newest;
  }

  function clear(): void {
    done = new Map();
    former = new Map();
    witnesses = [];
    repeatedUpTo = 0;
  }

  function* entries(): Generator<JournalEntry> {
    for (const [sequence, timestampNanos] of former) yield { sequence, timestampNanos };
    for (const [sequence, timestampNanos] of done) yield { sequence, timestampNanos };
  }

  /** A guard that cannot be written may cost a duplicate after a crash: said when it begins, never a reason to stop. */
  function warn(error: unknown): void {
    if (isFaulty) return;
    isFaulty = true;
    logger.warn("Cannot write the journal: a crash now may cause duplicates", {
      path,
      error: messageOf(error),
    });
  }

  function isRewriteDue(): boolean {
    return journal.needsRewrite(done.size + former.size);
  }

  /** What is in memory gets on disk, in one way or the other. */
  async function persist({ isDurable }: { isDurable: boolean }): Promise<void> {
    if (!isRewriteDue()) await journal.flush({ isDurable });
    else if (head !== null) await journal.rewrite(headsOf(head), entries());
    else if (isDurable) throw new Error("The consumer is not known yet");
    else return;
    if (isFaulty) logger.info("The journal is written again", { path });
    isFaulty = false;
  }

  let isClosed = false;
  let isFlushing = false;
  let isFlushWanted = false;
  /** Null: none is due. */
  let callOffFlush: (() => void) | null = null;

  /** Nothing runs while there is nothing to write; all guards that have something write in one turn. */
  function flushSoon(): void {
    if (isClosed) return;
    callOffFlush ??= onNextTick(isFaulty ? FAULT_DELAY_MS : FLUSH_DELAY_MS, () => {
      callOffFlush = null;
      void flush(); // Never rejects.
    });
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

  /** The file tells nothing else from now on, whatever becomes of the host. */
  async function replace(next: JournalHead): Promise<void> {
    if (isClosed) return;
    setHead(next);
    await journal.rewrite(headsOf(next), entries()).catch(onFault);
  }

  /** Written soon, and not synced: what is lost of it costs a duplicate. */
  function update(next: JournalHead): void {
    if (isClosed) return;
    setHead(next);
    journal.appendHead(next);
    flushSoon();
  }

  function markDone({ sequence, timestampNanos }: Message): void {
    remember({ sequence, timestampNanos });
    journal.append({ sequence, timestampNanos });
    flushSoon();
  }

  async function advance(ackFloor: number | null): Promise<void> {
    if (head === null || ackFloor === null) return;
    toldFloor = greater(toldFloor, ackFloor);
    if (ackFloor >= repeatedUpTo) repeatedUpTo = 0;
    if (ackFloor <= (head.place ?? -1)) return;
    const passed = passEntries(ackFloor);
    const witness = newestUpTo(ackFloor, [passed, head.witness]);
    update({ ...head, place: ackFloor, witness, completed: Math.max(head.completed, passed?.sequence ?? 0) });
  }

  /** The oldest first. */
  function remembered(): readonly JournalEntry[] {
    const messages = [...witnesses, ...entries()];
    return messages.sort((a, b) => a.sequence - b.sequence);
  }

  /** What the stream lost, or has other messages in the place of. */
  function dropBeyond(sequence: number): void {
    for (const map of [done, former]) for (const key of map.keys()) if (key > sequence) map.delete(key);
    witnesses = witnesses.filter((witness) => witness.sequence <= sequence);
  }

  async function align(consumer: AlignedConsumer): Promise<void> {
    const known = head;
    toldFloor = consumer.ackFloor;
    const { continuity, ackFloor, lastSequence, lastTimestampNanos: lastNanos } = consumer;
    const sameness = judge(consumer, known);
    if (sameness === "another") clear();
    if (continuity.kind === "cut") dropBeyond(continuity.sequence);
    const goesOn = sameness === "same" && continuity.kind !== "cut" && !isMadeHere(consumer);
    const place = goesOn ? greater(known?.place ?? null, ackFloor) : ackFloor;
    const upTo = continuity.kind === "cut" ? continuity.sequence : Number.MAX_SAFE_INTEGER;
    const kept = sameness === "another" ? null : (known?.witness ?? null);
    const last = lastNanos === null ? null : { sequence: lastSequence, timestampNanos: lastNanos };
    const passed = passEntries(place);
    const witness = newestUpTo(place ?? 0, [passed, last, newestUpTo(upTo, [kept])]);
    const before = sameness === "another" ? 0 : Math.min(upTo, known?.completed ?? 0);
    const completed = Math.max(before, passed?.sequence ?? 0);
    // What was never this relay's to send may still be: the channel may be a wider one by now.
    const proven = continuity.kind === "unknown" ? 0 : Math.min(continuity.sequence, before);
    repeatedUpTo = proven > (ackFloor ?? 0) ? proven : 0;
    const next: JournalHead = { ...pick(consumer), place, witness, completed };
    if (known === null || sameness !== "same" || continuity.kind === "cut") return replace(next);
    const isNews = place !== known.place || (known.witness === null && witness !== null);
    if (isNews) update(next);
  }

  return {
    position() {
      if (head === null) return null;
      const { streamCreated, place } = head;
      return { streamCreated, sequence: place, ackFloor: toldFloor, messages: remembered };
    },
    async expectStream() {
      if (head === null) await replace(NOTHING);
    },
    align,
    isDone({ sequence, timestampNanos }) {
      if (head === null) return false;
      if (sequence <= repeatedUpTo) return true;
      return done.get(sequence) === timestampNanos || former.get(sequence) === timestampNanos;
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
      if (isRewriteDue() && head !== null) await journal.rewrite(headsOf(head), entries());
    },
    advance,
    async forget() {
      clear();
      toldFloor = null;
      if (head !== null) await replace({ ...NOTHING, streamCreated: head.streamCreated });
    },
    get size() {
      return done.size;
    },
    async close() {
      isClosed = true;
      callOffFlush?.();
      await persist({ isDurable: false }).catch(warn);
      await journal.close().catch(warn);
    },
  };
}

/** Of stream and consumer: `another`: nothing of what is known is about them; `renewed`: the same under another time of creation. */
function judge(consumer: AlignedConsumer, known: JournalHead | null): "same" | "renewed" | "another" {
  if (known === null) return "another";
  const isStream = isSameTime(consumer.streamCreated, known.streamCreated);
  const isConsumer = isSameConsumer(consumer.consumerCreated, known.consumerCreated);
  if (!isStream && consumer.continuity.kind === "unknown") return "another";
  if (!isConsumer && !isMadeHere(consumer)) return "another";
  return isStream && isConsumer ? "same" : "renewed";
}

function isMadeHere({ change }: AlignedConsumer): boolean {
  return change === "created" || change === "recreated";
}

function pick({ streamCreated, consumerCreated }: AlignedConsumer) {
  return { streamCreated, consumerCreated };
}

function greater(left: number | null, right: number | null): number | null {
  return left === null || right === null ? (left ?? right) : Math.max(left, right);
}

function newestUpTo(limit: number, messages: readonly (JournalEntry | null)[]): JournalEntry | null {
  let newest: JournalEntry | null = null;
  for (const message of messages) {
    if (message === null || message.sequence > limit || message.sequence === 0) continue;
    if (newest === null || message.sequence > newest.sequence) newest = message;
  }
  return newest;
}

/** What is kept of a subscription that is no more. Never rejects: what stays takes some space. */
export async function removeGuard(path: string): Promise<void> {
  await rm(path, { force: true }).catch(() => undefined);
}

// The replay guard: remembers completed messages, so that a server that forgot an acknowledgement causes no second request.
//
//   completed -> entry --floor passes it--> former entry --next floor--> dropped
//                                                 \-> the newest is the witness
//
// It may cause a duplicate, never a loss. An entry is the message that was completed, by sequence and time: a server that
// lost its tail reuses sequences, and its clock may be behind. A message without an entry counts as completed only while the
// server redelivers below its own former floor, and only up to a message that the stream still has (`Continuity`). A stream
// or consumer that somebody else recreated makes it forget.

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
  /** Where to recreate a lost consumer; null: unknown. */
  position: () => RememberedPosition | null;
  /** The stream was missing: if it is created later, nothing in it precedes the subscription. */
  expectStream: () => Promise<void>;
  /** Sets the stream and consumer that the guard is about; forgets what does not fit them. */
  align: (consumer: AlignedConsumer) => Promise<void>;
  isDone: (message: Message) => boolean;
  /** On disk within a quarter of a second, or within 1 ms if the guard is prompt. */
  markDone: (message: Message) => void;
  /** Resolves when it is synced to disk. Rejects with the file system's error. */
  markDoneDurably: (message: Message) => Promise<void>;
  /** Does nothing if the file is sound; else rewrites it, or rejects with the file system's error. */
  repair: () => Promise<void>;
  /** The server's acknowledgement floor: messages below it soon need no entry. Null: unknown. */
  advance: (floor: number | null) => Promise<void>;
  /** Forgets all completions and the position: for a consumer that was moved on purpose. */
  forget: () => Promise<void>;
  /** Entries above the last floor. */
  readonly size: number;
  /** Writes what is queued, and nothing from then on. */
  close: () => Promise<void>;
}

const FLUSH_DELAY_MS = 250;
/** Between two writes of a prompt guard: at thousands of messages a second, a write for each would be a sixth of its cost. */
const PROMPT_PAUSE_MS = 1;
/** Pause between two attempts to write to a failing disk. */
const FAULT_DELAY_MS = 2000;
const MAX_ENTRIES = 65_536;
/** Entries are dropped in batches: finding the first of a Map is slow if they are deleted one by one. */
const DROPPED_AT_ONCE = 4096;
/** One for each floor, normally read every 15 s: if the stream lost more than the entries, they tell how much. */
const MAX_WITNESSES = 32;
/** No stream and no consumer has this date. */
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
   * Writes a completion at once, and those that follow it closely within 1 ms, without a sync: if relay and server are
   * killed together, hardly anything is repeated. For ordered subscriptions.
   */
  readonly isPrompt: boolean;
  /** False: if the file cannot be written, memory serves until it can. */
  readonly needsFile: boolean;
  readonly logger: Logger;
}

/** Opens the guard in the file at `path`. If `needsFile`, rejects with the file system's error. */
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
  /** Entries that the last floor has passed: the server may report a floor and forget it a moment later. */
  let former = new Map<number, bigint>();
  /** Entries passed by earlier floors, oldest first. */
  let witnesses: JournalEntry[] = [];
  /** Redeliveries up to here count as completed; 0: only entries count. */
  let repeatedUpTo = 0;
  /** The highest floor that the server reported since the last alignment. */
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

  /** Including the floor it reported before. */
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

  /** A guard that cannot be written may cost a duplicate after a crash: logged once, never a reason to stop. */
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

  /** Writes everything in memory to disk, by append or by rewrite. */
  async function persist({ isDurable }: { isDurable: boolean }): Promise<void> {
    if (!isRewriteDue()) await journal.flush({ isDurable });
    else if (head !== null) await journal.rewrite(headsOf(head), entries());
    else if (isDurable) throw new Error("The consumer is not known yet");
    else return;
    if (isFaulty) logger.info("The journal can be written again", { path });
    isFaulty = false;
  }

  let isClosed = false;
  let isFlushing = false;
  let isFlushWanted = false;
  /** Null: none is due. */
  let callOffFlush: (() => void) | null = null;

  /** Runs only while there is something to write; all guards write in one turn. */
  function flushSoon(): void {
    if (isClosed) return;
    callOffFlush ??= onNextTick(isFaulty ? FAULT_DELAY_MS : FLUSH_DELAY_MS, () => {
      callOffFlush = null;
      void flush(); // Never rejects.
    });
  }

  /** Retries a failed write. */
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

  /** Replaces the file: only this state survives, even a power failure. */
  async function replace(next: JournalHead): Promise<void> {
    if (isClosed) return;
    setHead(next);
    await journal.rewrite(headsOf(next), entries()).catch(onFault);
  }

  /** Written soon, not synced: losing it costs a duplicate. */
  function update(next: JournalHead): void {
    if (isClosed) return;
    setHead(next);
    journal.appendHead(next);
    flushSoon();
  }

  let flushedAt = Number.NEGATIVE_INFINITY;
  let promptTimer: ReturnType<typeof setTimeout> | null = null;

  function flushPromptly(): void {
    if (promptTimer !== null || isClosed) return;
    const pauseMs = flushedAt + PROMPT_PAUSE_MS - performance.now();
    if (pauseMs <= 0) flushNow();
    else promptTimer = setTimeout(flushNow, pauseMs);
  }

  function flushNow(): void {
    promptTimer = null;
    flushedAt = performance.now();
    void flush(); // Never rejects.
  }

  function record({ sequence, timestampNanos }: Message): void {
    remember({ sequence, timestampNanos });
    journal.append({ sequence, timestampNanos });
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

  /** Oldest first. */
  function remembered(): readonly JournalEntry[] {
    const messages = [...witnesses, ...entries()];
    return messages.sort((a, b) => a.sequence - b.sequence);
  }

  /** Messages that the stream lost or replaced by others. */
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
    // Messages that this relay never had to send may be due now: the channel may be wider.
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
      record(message);
      if (isPrompt) flushPromptly();
      else flushSoon();
    },
    async markDoneDurably(message) {
      record(message);
      flushSoon();
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
      if (promptTimer !== null) clearTimeout(promptTimer);
      await persist({ isDurable: false }).catch(warn);
      await journal.close().catch(warn);
    },
  };
}

/** Of stream and consumer. `another`: nothing known is about them; `renewed`: the same with another creation date. */
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

/** Removes the file of a deleted subscription. Never rejects: a leftover only takes space. */
export async function removeGuard(path: string): Promise<void> {
  await rm(path, { force: true }).catch(() => undefined);
}

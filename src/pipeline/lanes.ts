// The order of what is held: by key, one message after the other; different keys at the same time. PURE.
//
//   queued --next--> in flight --leave--> gone
//     ^                  |--retry--> retrying --due--> queued      its key waits with it
//     |                  '--park---> queued, its key parked --resume--> the first of the key may be sent, as a probe
//   queued --prepare--> preparing --prepared--> prepared --next--> in flight      where messages are prepared ahead
//
// A key with one in flight, or waiting for its retry, sends nothing else. Whatever a message is doing, it may leave.

import { createHeap, type Heap } from "#lib/heap.ts";

type LaneState = "queued" | "preparing" | "prepared" | "in-flight" | "retrying" | "gone";

/** A message that is held. */
export interface LaneMessage {
  readonly sequence: number;
  readonly key: string;
  readonly bytes: number;
  readonly state: LaneState;
}

export interface ParkedKey {
  readonly key: string;
  /** When it was parked first: a probe that fails does not change it. */
  readonly since: Date;
  readonly cause: string;
  /** Of the first message, which is tried again. */
  readonly sequence: number;
  readonly messages: number;
  /** In a row, of the first message and of its probes. */
  readonly failures: number;
  /** When the first message is sent again by itself; null: it is being sent, or only on request. */
  readonly nextTryAt: Date | null;
}

interface Lanes<T extends LaneMessage> {
  /** It is queued. */
  add: (message: T) => void;
  /** False: `next` has none. */
  hasNext: () => boolean;
  /** The next message to send, which is in flight from now on; null: none may be sent. */
  next: () => T | null;
  /** The next message to prepare, which is being prepared from now on; null: none is to be. */
  prepare: () => T | null;
  prepared: (message: T) => void;
  /** It waits for its retry and keeps its key. */
  retry: (message: T) => void;
  due: (message: T) => void;
  /** It is not sent after all. */
  putBack: (message: T) => void;
  /** It is done with, or not here any more. */
  leave: (message: T) => void;
  /** Its key is parked, and it stays the first of it. */
  park: (message: T, why: { readonly cause: string; readonly at: Date }) => void;
  /** The first message of a parked key may be sent. False: no such key is parked. */
  resume: (key: string) => boolean;
  /** A parked key is to be resumed then. */
  resumesAt: (key: string, at: Date) => void;
  /** A probe succeeded, or its message was skipped. */
  unpark: (key: string) => void;
  parked: () => readonly ParkedKey[];
  firstOf: (key: string) => T | null;
  isParked: (key: string) => boolean;
  /** Of all parked keys. */
  readonly parkedMessages: number;
  readonly parkedBytes: number;
  readonly inFlight: number;
  /** How many may be in flight. */
  resize: (places: number) => void;
}

interface Parking {
  readonly since: Date;
  readonly cause: string;
  readonly failures: number;
  isProbing: boolean;
  nextTryAt: Date | null;
}

interface Lane<T> {
  readonly key: string;
  /** All but the one in flight, and some that are gone. */
  readonly waiting: Heap<T>;
  inFlight: T | null;
  /** How many are here, the one in flight too, and their bytes. */
  size: number;
  bytes: number;
  /** Of these being prepared or prepared. */
  ahead: number;
  parked: Parking | null;
}

/** A lane that had this message first when it was put in line. */
interface Line<T> {
  readonly lane: Lane<T>;
  readonly sequence: number;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** `preparesAhead`: a message is sent only once it was prepared; as many as there are places may be ahead. */
export function createLanes<T extends LaneMessage>(
  initialPlaces: number,
  { preparesAhead }: { readonly preparesAhead: boolean },
): Lanes<T> {
  const lanes = new Map<string, Lane<T>>();
  const parkedLanes = new Set<Lane<T>>();
  const toSend = createLine();
  const toPrepare = createLine();
  /** What others of its key wait for, though they are prepared: that it waits for a place would stop all. */
  const toPrepareAtOnce = createLine();
  const sendable: LaneState = preparesAhead ? "prepared" : "queued";
  let places = initialPlaces;
  let inFlight = 0;
  let ahead = 0;
  let parkedMessages = 0;
  let parkedBytes = 0;

  function createLine(): Heap<Line<T>> {
    return createHeap(({ sequence }) => sequence);
  }

  function laneOf({ key }: T): Lane<T> {
    const known = lanes.get(key);
    if (known !== undefined) return known;
    const waiting = createHeap<T>(({ sequence }) => sequence);
    const lane: Lane<T> = { key, waiting, inFlight: null, size: 0, bytes: 0, ahead: 0, parked: null };
    lanes.set(key, lane);
    return lane;
  }

  /** Of those that wait. */
  function firstIn({ waiting }: Lane<T>): T | undefined {
    let message = waiting.peek();
    while (message?.state === "gone") {
      waiting.pop();
      message = waiting.peek();
    }
    return message;
  }

  function findSendable(lane: Lane<T>): T | null {
    const message = firstIn(lane);
    if (message?.state !== sendable || lane.inFlight !== null) return null;
    return lane.parked === null || lane.parked.isProbing ? message : null;
  }

  /** Nothing behind a probe: it would be lost if that fails. */
  function findPreparable(lane: Lane<T>): T | null {
    const message = firstIn(lane);
    if (!preparesAhead || message?.state !== "queued") return null;
    const isOpen = lane.parked === null || (lane.parked.isProbing && lane.inFlight === null);
    return isOpen ? message : null;
  }

  /** After each change of a lane: puts it in line for what may be done with its first message. */
  function lineUp(lane: Lane<T>): void {
    const toBeSent = findSendable(lane);
    if (toBeSent !== null) return toSend.push({ lane, sequence: toBeSent.sequence });
    const toBePrepared = findPreparable(lane);
    if (toBePrepared === null) return;
    (lane.ahead > 0 ? toPrepareAtOnce : toPrepare).push({ lane, sequence: toBePrepared.sequence });
  }

  /** The first in line whose lane is still as it was; it stays in line. */
  function firstOfLine(line: Heap<Line<T>>, find: (lane: Lane<T>) => T | null): T | null {
    for (let first = line.peek(); first !== undefined; first = line.peek()) {
      const message = find(first.lane);
      if (message?.sequence === first.sequence) return message;
      line.pop();
    }
    return null;
  }

  function takeFirst(line: Heap<Line<T>>, find: (lane: Lane<T>) => T | null): T | null {
    const message = firstOfLine(line, find);
    if (message !== null) line.pop();
    return message;
  }

  function enter(message: T, state: LaneState): Lane<T> {
    const lane = laneOf(message);
    const change = Number(isAhead(state)) - Number(isAhead(message.state));
    (message as Mutable<LaneMessage>).state = state;
    ahead += change;
    lane.ahead += change;
    return lane;
  }

  function next(): T | null {
    if (inFlight >= places) return null;
    const message = takeFirst(toSend, findSendable);
    if (message === null) return null;
    const lane = enter(message, "in-flight");
    lane.waiting.pop();
    lane.inFlight = message;
    inFlight += 1;
    lineUp(lane);
    return message;
  }

  function prepare(): T | null {
    const urgent = takeFirst(toPrepareAtOnce, findPreparable);
    const message = urgent ?? (ahead < places ? takeFirst(toPrepare, findPreparable) : null);
    if (message !== null) enter(message, "preparing");
    return message;
  }

  /** Ends its request, if it has one. */
  function land(message: T): boolean {
    const lane = laneOf(message);
    if (lane.inFlight !== message) return false;
    lane.inFlight = null;
    inFlight -= 1;
    return true;
  }

  /** Waits among the others of its key, and before them. */
  function wait(message: T, state: "queued" | "retrying"): void {
    const wasInFlight = land(message);
    const lane = enter(message, state);
    if (wasInFlight) lane.waiting.push(message);
    lineUp(lane);
  }

  function grow(lane: Lane<T>, { messages, bytes }: { messages: number; bytes: number }): void {
    lane.size += messages;
    lane.bytes += bytes;
    if (lane.parked !== null) countParked({ messages, bytes });
  }

  function countParked({ messages, bytes }: { messages: number; bytes: number }): void {
    parkedMessages += messages;
    parkedBytes += bytes;
  }

  function leave(message: T): void {
    expect(message, "queued", "preparing", "prepared", "in-flight", "retrying");
    land(message);
    const lane = enter(message, "gone");
    grow(lane, { messages: -1, bytes: -message.bytes });
    if (lane.size > 0) return lineUp(lane);
    lanes.delete(lane.key);
    parkedLanes.delete(lane);
  }

  function unpark(key: string): void {
    const lane = lanes.get(key);
    if (lane === undefined || lane.parked === null) return;
    lane.parked = null;
    parkedLanes.delete(lane);
    countParked({ messages: -lane.size, bytes: -lane.bytes });
    lineUp(lane);
  }

  function describeParked(lane: Lane<T>): readonly ParkedKey[] {
    const { key, parked, size: messages } = lane;
    const message = lane.inFlight ?? firstIn(lane);
    if (parked === null || message === undefined) return [];
    const { since, cause, failures, nextTryAt } = parked;
    return [{ key, since, cause, failures, nextTryAt, messages, sequence: message.sequence }];
  }

  return {
    add(message) {
      expect(message, "queued");
      const lane = laneOf(message);
      grow(lane, { messages: 1, bytes: message.bytes });
      lane.waiting.push(message);
      if (firstIn(lane) === message) lineUp(lane);
    },
    hasNext: () => inFlight < places && firstOfLine(toSend, findSendable) !== null,
    next,
    prepare,
    prepared(message) {
      expect(message, "preparing");
      lineUp(enter(message, "prepared"));
    },
    retry(message) {
      expect(message, "preparing", "in-flight");
      wait(message, "retrying");
    },
    due(message) {
      expect(message, "retrying");
      wait(message, "queued");
    },
    putBack(message) {
      expect(message, "preparing", "in-flight", "retrying");
      wait(message, "queued");
    },
    leave,
    park(message, { cause, at }) {
      expect(message, "preparing", "in-flight");
      const lane = laneOf(message);
      if (lane.parked === null) countParked({ messages: lane.size, bytes: lane.bytes });
      const { since, failures } = lane.parked ?? { since: at, failures: 0 };
      lane.parked = { since, cause, failures: failures + 1, isProbing: false, nextTryAt: null };
      parkedLanes.add(lane);
      wait(message, "queued");
    },
    resume(key) {
      const lane = lanes.get(key);
      if (lane === undefined || lane.parked === null) return false;
      lane.parked.isProbing = true;
      lane.parked.nextTryAt = null;
      lineUp(lane);
      return true;
    },
    resumesAt(key, at) {
      const parked = lanes.get(key)?.parked ?? null;
      if (parked !== null) parked.nextTryAt = at;
    },
    unpark,
    parked: () => [...parkedLanes].flatMap(describeParked),
    firstOf(key) {
      const lane = lanes.get(key);
      return lane === undefined ? null : (lane.inFlight ?? firstIn(lane) ?? null);
    },
    isParked: (key) => (lanes.get(key)?.parked ?? null) !== null,
    get parkedMessages() {
      return parkedMessages;
    },
    get parkedBytes() {
      return parkedBytes;
    },
    get inFlight() {
      return inFlight;
    },
    resize: (next) => (places = next),
  };
}

function isAhead(state: LaneState): boolean {
  return state === "preparing" || state === "prepared";
}

function expect(message: LaneMessage, ...allowed: readonly LaneState[]): void {
  if (allowed.includes(message.state)) return;
  throw new Error(`Message ${message.sequence} is ${message.state}, not ${allowed.join(" or ")}`);
}

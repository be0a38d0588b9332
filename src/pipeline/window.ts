// The window of an ordered subscription: which messages it holds, and when they may be sent. PURE.
//
//   gathering --the server counts as many unacknowledged as are held--> asking back --each came again--> current
//       ^                                                                    |                               |
//       '------- a gap in the consumer sequence, a reconnect, one dropped ---'-------------------------------'
//
// Messages are sent only while everything unacknowledged is here: of two relays at most one has it all. The count alone does
// not tell: a relay that was cut off may acknowledge what is held here by now, while another message is still out there. So all
// that is held is given back once the count fits. What comes again was not acknowledged when it was counted: nothing was out.
//
// Every delivery has the next consumer sequence. A gap, forward or back, means that a message went to somebody else, or that
// the server has forgotten something.

import type { Room } from "#consumer/credit.ts";
import { createLanes, type LaneMessage, type ParkedKey } from "./lanes.ts";

export interface WindowMessage<T> extends LaneMessage {
  readonly timestampNanos: bigint;
  /** Of the newest delivery. */
  value: T;
}

interface Delivery<T> {
  readonly consumerSequence: number;
  readonly sequence: number;
  readonly timestampNanos: bigint;
  /** 1: the server knows of none before. */
  readonly deliveryCount: number;
  readonly key: string;
  readonly bytes: number;
  readonly value: T;
}

/** What the server says of the consumer. */
export interface ConsumerCount {
  /** Of its last delivery. */
  readonly consumerSequence: number;
  readonly ackPending: number;
}

interface WindowSize {
  readonly messages: number;
  readonly bytes: number;
  /** Requests at once. */
  readonly places: number;
}

export interface WindowOptions<T> extends WindowSize {
  /** A message is sent only once it was prepared. */
  readonly preparesAhead: boolean;
  /** False: the server itself has only one message out at a time. The window is always current. */
  readonly gathers: boolean;
  /** It was queued and has left, though nobody was done with it: it was acknowledged elsewhere, or is no more. */
  readonly onForgotten: (message: WindowMessage<T>) => void;
}

/** Messages by their sequences. */
interface WindowDescription {
  readonly lastDelivery: number | null;
  /** What the server said last, if nothing has come since. */
  readonly counts: ConsumerCount | null;
  readonly counted: readonly number[];
  /** What was asked back and has not come again; null: nothing was asked back. */
  readonly missing: readonly number[] | null;
  /** All that the server counts was held when it was asked back. */
  readonly isWhole: boolean;
}

export interface Window<T> {
  /** A delivery that is not to be held: it was done before. */
  pass: (consumerSequence: number) => void;
  /** `known`: it was held already, and keeps its state. */
  hold: (delivery: Delivery<T>) => { readonly kind: "known" | "new"; readonly message: WindowMessage<T> };
  /** The answer to what was asked after everything so far. Returns what is to be given back to the server (-NAK). */
  count: (consumer: ConsumerCount) => readonly WindowMessage<T>[];
  /** The connection was lost, or the consumer: others may have been given anything. */
  regather: () => void;
  /** The held message of that sequence. */
  find: (sequence: number) => WindowMessage<T> | null;
  /** False: `next` has none. */
  hasNext: () => boolean;
  /** The next one to send, which is in flight from now on; null: none may be sent now. */
  next: () => WindowMessage<T> | null;
  /** The next one to prepare; null: none is to be. */
  prepare: () => WindowMessage<T> | null;
  prepared: (message: WindowMessage<T>) => void;
  /** Acknowledged before it is sent: the server does not count it any more. */
  acknowledged: (message: WindowMessage<T>) => void;
  /** Done with; what is delivered ends the parking of its key. */
  complete: (message: WindowMessage<T>, how: { readonly isDelivered: boolean }) => void;
  /** It waits for its retry and keeps its key, until it is `due`. */
  retry: (message: WindowMessage<T>) => void;
  due: (message: WindowMessage<T>) => void;
  /** Not sent after all. */
  putBack: (message: WindowMessage<T>) => void;
  /** Nobody knows whether the server counts it: it is left to come again, or not. */
  drop: (message: WindowMessage<T>) => void;
  /** Its key stops until it is resumed. The message stays the first of it, unless it was acknowledged: then it is done with. */
  park: (message: WindowMessage<T>, why: { readonly cause: string; readonly at: Date }) => void;
  /** The first of a parked key may be sent once. False: no such key is parked. */
  resume: (key: string) => boolean;
  /** A parked key is to be resumed then. */
  resumesAt: (key: string, at: Date) => void;
  /** Takes the first of a parked key out: it is to be acknowledged without a request. Null: none, or it is in flight. */
  skip: (key: string) => WindowMessage<T> | null;
  parked: () => readonly ParkedKey[];
  /** Parked messages fill half of the window. */
  readonly isHalfParked: boolean;
  /** How much more may be asked for where `limit` messages may be held (default: the size). */
  room: (limit?: number) => Room;
  resize: (size: WindowSize) => void;
  held: () => Iterable<WindowMessage<T>>;
  /** For people who wonder why nothing is sent. */
  describe: () => WindowDescription;
  readonly state: "gathering" | "asking-back" | "current";
  readonly inFlight: number;
  readonly size: number;
}

export function createWindow<T>(options: WindowOptions<T>): Window<T> {
  type Message = WindowMessage<T>;
  let size: WindowSize = options;
  const lanes = createLanes<Message>(size.places, options);
  const held = new Map<number, Message>();
  /** What the server counts. */
  const counted = new Set<Message>();
  let bytes = 0;
  let isCurrent = !options.gathers;
  /** Of the newest delivery; null: none has come since the connection was made. */
  let lastDelivery: number | null = null;
  /** What the server said last, if nothing has come since. */
  let counts: ConsumerCount | null = null;
  /** What has not come again; null: nothing was asked back. */
  let askedBack: Set<Message> | null = null;
  /** All that the server counts was held when it was asked back. */
  let isWhole = false;

  function gather(): void {
    isCurrent = !options.gathers;
    askedBack = null;
  }

  function pass(consumerSequence: number): void {
    counts = null;
    if (lastDelivery !== null && consumerSequence !== lastDelivery + 1) gather();
    lastDelivery = consumerSequence;
  }

  function hold(delivery: Delivery<T>): { kind: "known" | "new"; message: Message } {
    const { sequence, timestampNanos, key, value } = delivery;
    pass(delivery.consumerSequence);
    const known = held.get(sequence);
    if (known?.timestampNanos === timestampNanos) {
      known.value = value;
      counted.add(known);
      // The server has forgotten the one before: it counted another message then.
      if (delivery.deliveryCount === 1) askedBack = null;
      else cameAgain(known);
      return { kind: "known", message: known };
    }
    // A stream made anew gives its sequences out again.
    if (known !== undefined) forget(known);
    const message: Message = { sequence, timestampNanos, key, bytes: delivery.bytes, value, state: "queued" };
    held.set(sequence, message);
    counted.add(message);
    bytes += message.bytes;
    lanes.add(message);
    return { kind: "new", message };
  }

  function cameAgain(message: Message): void {
    if (askedBack?.delete(message) !== true || askedBack.size > 0 || !isWhole) return;
    askedBack = null;
    isCurrent = true;
  }

  /** It is not the server's any more. What had not come again proves nothing by that. */
  function uncount(message: Message): void {
    counted.delete(message);
    if (askedBack?.has(message) === true) askedBack = null;
  }

  /** One that is on its way goes on, without a place here. */
  function forget(message: Message): void {
    uncount(message);
    if (message.state === "queued") {
      leave(message);
      options.onForgotten(message);
    } else if (held.get(message.sequence) === message) held.delete(message.sequence);
  }

  function leave(message: Message): void {
    uncount(message);
    if (held.get(message.sequence) === message) held.delete(message.sequence);
    bytes -= message.bytes;
    lanes.leave(message);
  }

  function count(consumer: ConsumerCount): readonly Message[] {
    if (isCurrent) return [];
    const isSettled = counts?.consumerSequence === consumer.consumerSequence;
    counts = consumer;
    lastDelivery ??= consumer.consumerSequence;
    if (lastDelivery !== consumer.consumerSequence) {
      // It may be on its way. Once it has had its time it was somebody else's.
      if (!isSettled) return [];
      gather();
      lastDelivery = consumer.consumerSequence;
    }
    if (consumer.ackPending > counted.size) return [];
    return askedBack === null ? askBack(consumer) : askAgain(askedBack, { consumer, isSettled });
  }

  function askBack({ ackPending }: ConsumerCount): readonly Message[] {
    isWhole = ackPending === counted.size;
    isCurrent = counted.size === 0;
    askedBack = isCurrent ? null : new Set(counted);
    // What comes again has its time to do so.
    counts = null;
    return [...counted];
  }

  /** What does not come again was acknowledged by another relay, or deleted from the stream. */
  function askAgain(
    missing: Set<Message>,
    { consumer, isSettled }: { consumer: ConsumerCount; isSettled: boolean },
  ): readonly Message[] {
    if (!isSettled) return [];
    if (isWhole && consumer.ackPending === counted.size) return [...missing];
    askedBack = null;
    for (const message of missing) {
      counted.delete(message);
      if (message.state !== "queued") continue;
      leave(message);
      options.onForgotten(message);
    }
    return [];
  }

  function room(limit = size.messages): Room {
    const free = Math.max(0, limit - held.size);
    const freeBytes = Math.max(0, size.bytes - bytes);
    if (isCurrent) return { messages: freeBytes > 0 ? free : 0, bytes: freeBytes };
    // Until the server has been asked, nobody knows what it takes to have all.
    if (lastDelivery === null) return { messages: 0, bytes: 0 };
    const out = (counts?.ackPending ?? 0) - counted.size;
    // What was asked back is here already: it takes no more memory when it comes again.
    if (askedBack !== null) return { messages: Math.max(free, out, askedBack.size), bytes: size.bytes };
    return { messages: Math.max(1, free, out), bytes: freeBytes };
  }

  return {
    pass,
    hold,
    count,
    regather() {
      gather();
      lastDelivery = null;
      counts = null;
    },
    find: (sequence) => held.get(sequence) ?? null,
    hasNext: () => isCurrent && lanes.hasNext(),
    next: () => (isCurrent ? lanes.next() : null),
    prepare: () => (isCurrent ? lanes.prepare() : null),
    prepared: lanes.prepared,
    acknowledged(message) {
      if (message.state !== "preparing") throw new Error(`Message ${message.sequence} is ${message.state}`);
      uncount(message);
    },
    complete(message, { isDelivered }) {
      leave(message);
      if (isDelivered) lanes.unpark(message.key);
    },
    retry: lanes.retry,
    due: lanes.due,
    putBack: lanes.putBack,
    drop(message) {
      leave(message);
      gather();
    },
    park(message, why) {
      lanes.park(message, why);
      if (!counted.has(message)) leave(message);
    },
    resume: lanes.resume,
    resumesAt: lanes.resumesAt,
    skip(key) {
      const message = lanes.isParked(key) ? lanes.firstOf(key) : null;
      if (message === null || message.state !== "queued") return null;
      leave(message);
      return message;
    },
    parked: lanes.parked,
    get isHalfParked() {
      return lanes.parkedMessages * 2 >= size.messages || lanes.parkedBytes * 2 >= size.bytes;
    },
    room,
    resize(next) {
      size = next;
      lanes.resize(next.places);
    },
    held: () => held.values(),
    describe: () => ({
      lastDelivery,
      counts,
      counted: toSequences(counted),
      missing: askedBack === null ? null : toSequences(askedBack),
      isWhole,
    }),
    get state() {
      if (isCurrent) return "current";
      return askedBack === null ? "gathering" : "asking-back";
    },
    get inFlight() {
      return lanes.inFlight;
    },
    get size() {
      return held.size;
    },
  };
}

function toSequences(messages: Iterable<LaneMessage>): readonly number[] {
  return [...messages].map(({ sequence }) => sequence);
}

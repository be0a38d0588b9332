// Holds the messages of an ordered subscription in its window, and delivers them in order: takes a slot first, the message second.

import type { Received } from "#consumer/received.ts";
import { retryDelayMs } from "#delivery/backoff.ts";
import { MAX_WINDOW_BYTES, mostOut, orderKeyOf, STRICT } from "#delivery/ordering.ts";
import { concurrencyOf } from "#delivery/subscription.ts";
import { sleep } from "#lib/sleep.ts";
import { createGathering } from "./gather.ts";
import type { Entry, Holding, HoldingOptions } from "./holding.ts";
import type { ParkedKey } from "./lanes.ts";
import type { Ending } from "./observer.ts";
import type { Held } from "./settle.ts";
import type { TermsHolder } from "./terms.ts";
import type { Turns } from "./turns.ts";
import { type ConsumerCount, createWindow, type WindowMessage } from "./window.ts";

interface OrderedOptions extends HoldingOptions {
  readonly terms: TermsHolder;
  readonly turns: Turns;
  readonly closing: AbortSignal;
  /** How much the server has given out, to whomever; null: it gives out one message at a time by itself. Never rejects. */
  readonly countConsumer: (() => Promise<ConsumerCount | null>) | null;
  /** False: another relay may have been given what is held. */
  readonly isCurrent: () => boolean;
  /** True: one message at a time. */
  readonly isProbing: () => boolean;
  readonly giveBack: (entry: Held) => Ending;
  /** Acknowledges a message without a request. */
  readonly skip: (entry: Held) => Promise<Ending>;
  /** Ends the pipeline because of this message. */
  readonly interrupt: (entry: Held, cause: string) => void;
  /** There may be more room. */
  readonly onRoom: () => void;
}

interface Ordered extends Holding {
  /** How many messages may be held: normally, and while NATS is far away. */
  capacity: () => { readonly usual: number; readonly most: number };
  /** How much may be asked for where `limit` messages may be held. */
  room: (limit: number) => { readonly messages: number; readonly bytes: number };
  /** The consumer may have given anything to others. `maxAckPending`: how much it gives out at a time. */
  regather: (maxAckPending?: number) => void;
  /** Uses the current terms, and sends what may be sent. */
  resize: () => void;
  /** Takes a failure that would interrupt the subscription: it parks the key of the message. False: it interrupts. */
  takeFailure: (entry: Held, cause: string) => boolean;
  /** Oldest first. */
  parked: () => readonly ParkedKey[];
  /** As of a running subscription. */
  resumeParked: (key: string, options: { readonly skip: boolean }) => ResumedKey;
  /** Why nothing is sent, for people; null: nothing is in the way. */
  readonly obstacle: string | null;
}

/** "in-flight": it cannot be skipped while it is being sent. */
export type ResumedKey = "resumed" | "not-parked" | "in-flight";

type Message = WindowMessage<Entry>;

export function createOrdered(options: OrderedOptions): Ordered {
  const { terms, turns, deliver, closing, countConsumer } = options;
  const ordering = terms.current.subscription.ordering ?? STRICT;
  let maxAckPending = mostOut(ordering);
  /** Held, or on their way though a newer stream has taken their sequences. */
  let open = 0;
  /** In flight, or waiting for their next attempt. */
  let underWay = 0;
  let isInLine = false;
  /** Whose key is to be parked, and why. */
  let isHalfParked = false;
  const failures = new Map<Held, string>();
  const window = createWindow<Entry>({
    ...sizeNow(),
    preparesAhead: false,
    gathers: countConsumer !== null,
    onForgotten: ({ value }) => end(value, { kind: "returned" }),
  });
  const gathering = createGathering({
    window,
    countConsumer: countConsumer ?? (() => Promise.resolve(null)),
    onCounted() {
      options.onRoom();
      dispatch();
    },
    signal: closing,
  });
  closing.addEventListener("abort", giveBackQueued);

  function sizeNow() {
    const messages = Math.min(ordering.window, maxAckPending);
    return { messages, bytes: MAX_WINDOW_BYTES, places: concurrencyOf(terms.current.subscription) };
  }

  function toDelivery({ message, consumerSequence, bytes }: Received, value: Entry) {
    const { sequence, timestampNanos, deliveryCount } = message;
    const key = orderKeyOf(message, ordering.key);
    return { consumerSequence, sequence, timestampNanos, deliveryCount, key, bytes, value };
  }

  function renew(received: Received): boolean {
    const { sequence, timestampNanos } = received.message;
    const known = window.find(sequence);
    if (known === null) return false;
    if (known.timestampNanos !== timestampNanos) {
      // A recreated stream reuses sequences: an answer for the old message would settle this one.
      known.value.isRedeliverable = false;
      return false;
    }
    known.value.received = received;
    window.hold(toDelivery(received, known.value));
    look();
    return true;
  }

  function add(entry: Entry): void {
    open += 1;
    const { message } = window.hold(toDelivery(entry.received, entry));
    if (closing.aborted) return finish(message, options.giveBack(entry));
    endIfHalfParked();
    look();
  }

  /** After each delivery: it may be a gap, or the last one that was missing. */
  function look(): void {
    gathering.wake();
    dispatch();
  }

  function mayStart(): boolean {
    if (closing.aborted || !window.hasNext() || !options.isCurrent()) return false;
    return !options.isProbing() || underWay === 0;
  }

  function dispatch(): void {
    while (!isInLine && mayStart()) {
      const begun = turns.begin(closing);
      if (begun !== true) {
        isInLine = true;
        void begun.then(onSlot); // Never rejects.
      } else start();
    }
  }

  function onSlot(isTaken: boolean): void {
    isInLine = false;
    if (isTaken) start();
    dispatch();
  }

  /** A slot is taken. Meanwhile there may have been a gap. */
  function start(): void {
    const message = mayStart() ? window.next() : null;
    if (message === null) turns.end(null);
    else void send(message); // Never rejects.
  }

  async function send(message: Message): Promise<void> {
    underWay += 1;
    const ending = await attempt(message).catch((error: unknown) => options.onError(message.value, error));
    if (message.state === "gone") return end(message.value, ending ?? { kind: "delivered" });
    underWay -= 1;
    const cause = failures.get(message.value);
    failures.delete(message.value);
    if (ending?.kind === "returned" && cause !== undefined && !closing.aborted) park(message, cause);
    else if (ending !== null) finish(message, ending);
    dispatch();
  }

  function park(message: Message, cause: string): void {
    window.park(message, { cause, at: new Date() });
    if (!endIfHalfParked()) void probeLater(message.key); // Never rejects.
  }

  function endIfHalfParked(): boolean {
    const [first] = window.isHalfParked ? window.parked() : [];
    const message = first === undefined ? null : window.find(first.sequence);
    if (first === undefined || message === null) return false;
    isHalfParked = true;
    options.interrupt(message.value, `Parked messages fill half of the window: ${first.cause}`);
    return true;
  }

  async function probeLater(key: string): Promise<void> {
    const { resume } = terms.current.subscription;
    const before = findParked(key);
    if (before === undefined || resume.kind === "manual") return;
    const retry = { ...resume, kind: "exponential", maxAttempts: Infinity } as const;
    const delayMs = retryDelayMs(retry, before.failures, Math.random());
    window.resumesAt(key, new Date(Date.now() + delayMs));
    if (!(await sleep(delayMs, closing))) return;
    const now = findParked(key);
    if (now?.sequence !== before.sequence || now.failures !== before.failures) return;
    window.resume(key);
    dispatch();
  }

  function findParked(key: string): ParkedKey | undefined {
    return window.parked().find((parked) => parked.key === key);
  }

  async function skipFirst(message: Message): Promise<void> {
    const ending = await options
      .skip(message.value)
      .catch((error: unknown) => options.onError(message.value, error));
    end(message.value, ending);
    window.resume(message.key);
    dispatch();
  }

  /** Null: its next attempt is due. */
  async function attempt(message: Message): Promise<Ending | null> {
    const { value: entry } = message;
    const step = await deliver.attempt(entry, () => goOn(message));
    if (step.kind === "ended") return step.ending;
    window.retry(message);
    dispatch();
    if (!(await deliver.waitForStep(entry, step))) return deliver.abandon(entry, step.failure);
    window.due(message);
    return null;
  }

  /** It was delivered: the next one is on its way before the books are kept. */
  function goOn(message: Message): void {
    underWay -= 1;
    window.complete(message, { isDelivered: true });
    dispatch();
  }

  function finish(message: Message, ending: Ending): void {
    const isLeft = ending.kind === "returned" && !closing.aborted;
    if (isLeft) window.drop(message);
    else window.complete(message, { isDelivered: ending.kind !== "returned" });
    if (isLeft) gathering.wake();
    end(message.value, ending);
  }

  function end(entry: Entry, ending: Ending): void {
    open -= 1;
    options.onEnded(entry, ending);
  }

  function giveBackQueued(): void {
    for (const message of window.held())
      if (message.state === "queued") finish(message, options.giveBack(message.value));
  }

  return {
    renew,
    add,
    pass({ consumerSequence }) {
      window.pass(consumerSequence);
      look();
    },
    *entries() {
      for (const { value } of window.held()) yield value;
    },
    get size() {
      return open;
    },
    capacity: () => ({ usual: sizeNow().messages, most: Math.min(mostOut(ordering), maxAckPending) }),
    room: window.room,
    regather(limit = maxAckPending) {
      maxAckPending = limit;
      window.resize(sizeNow());
      gathering.restart();
    },
    resize() {
      window.resize(sizeNow());
      dispatch();
    },
    takeFailure(entry, cause) {
      if (ordering.onFailure !== "key" || isHalfParked || !entry.isRedeliverable) return false;
      failures.set(entry, cause);
      return true;
    },
    parked: window.parked,
    resumeParked(key, { skip }) {
      if (findParked(key) === undefined) return "not-parked";
      if (skip) {
        const message = window.skip(key);
        if (message === null) return "in-flight";
        void skipFirst(message); // Never rejects.
        return "resumed";
      }
      window.resume(key);
      dispatch();
      return "resumed";
    },
    get obstacle() {
      return gathering.obstacle;
    },
  };
}

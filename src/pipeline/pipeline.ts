// The state machine for the messages of one subscription, from received to settled.
//
//   received -> marker                                  no message: acknowledged
//            -> suppressed                              completed before: acknowledged again
//            -> waiting for a slot -> attempt -> ack | dead-letter | drop
//                    ^                  |  \-> interrupt: the pipeline closes, the cause goes back first
//                    '-- waiting for its retry
//   closing  -> what waits goes back to the stream, what is in flight ends and is settled
//
// A pipeline is closed once and for good: a resumed subscription gets a new one.

import type { Capacity } from "#consumer/credit.ts";
import type { Pump } from "#consumer/pump.ts";
import type { Received } from "#consumer/received.ts";
import { isDeleteMarker, type Message } from "#delivery/message.ts";
import type { FailureCause } from "#delivery/status.ts";
import { concurrencyOf, type Subscription } from "#delivery/subscription.ts";
import type { DeadLetters } from "#letters/store.ts";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { createSlab } from "#lib/slab.ts";
import { createClosing } from "./closing.ts";
import { createDeliver } from "./deliver.ts";
import type { Guard } from "./guard.ts";
import { createHeartbeat } from "./heartbeat.ts";
import type { Ending, Settled, Observer } from "./observer.ts";
import { createReturns } from "./returns.ts";
import { type Held, createSettler } from "./settle.ts";
import type { TermsHolder } from "./terms.ts";
import type { Turns } from "./turns.ts";

export interface PipelineStats {
  /** Received and not settled. */
  readonly held: number;
  readonly inFlight: number;
  readonly retrying: number;
  /** When the oldest held message was received, on the clock of `performance.now`; null: none is held. */
  readonly oldestHeldAt: number | null;
  /** Why no dead letter can be stored; null: they can be. */
  readonly blocked: string | null;
}

interface CloseOptions {
  /** After this time requests in flight are aborted; null: never, each ends by its own time limit. */
  readonly graceMs: number | null;
  /** Another relay may hold the messages: return none, and abort at once what the stream will deliver again. */
  readonly isExpired?: boolean;
}

export interface Pipeline {
  /** Starts to pull. Throws while another pump pulls or the pipeline closes: two pumps would hold twice the limit. */
  pull: (startPump: (handlers: PumpHandlers) => Pump) => void;
  /** Ends the pump, if there is one; resolves when it can deliver nothing more. Delivered messages stay held. */
  stopPull: () => Promise<void>;
  /** Changes the limit of held messages to the current terms; returns none if more are held. */
  resize: () => void;
  stats: () => PipelineStats;
  /**
   * Resolves when nothing is held any more, with the number of messages that were returned to the stream. A second call
   * can only shorten the grace.
   */
  close: (options: CloseOptions) => Promise<number>;
}

interface Entry extends Held {
  readonly receivedAt: number;
}

export function createPipeline(options: PipelineOptions): Pipeline {
  const { terms, turns, guard, observer, logger } = options;
  const { qos, source } = terms.current.subscription;
  const hasAcks = qos !== "NONE";
  const held = createSlab<Entry>();
  /** By sequence, the entry of its newest message. */
  const newest = new Map<number, number>();
  const ending = createClosing();
  const { closing } = ending.signals;
  let pump: Pump | null = null;
  let isProbing = options.isProbe;
  let cause: Held | null = null;
  let isExpired = false;
  let blocked: string | null = null;
  let closed: Promise<void> | null = null;
  let onEmpty: () => void = () => undefined;
  const returns = createReturns({ cause: () => cause, canReturn: () => !isExpired });

  const heartbeat = hasAcks
    ? createHeartbeat({
        ackWaitMs: source.ackWaitMs,
        renew: () => {
          for (const { isRedeliverable, received } of held) if (isRedeliverable) received.working();
        },
        lastPongAt: options.lastPongAt,
        isHolding: () => held.size > 0,
        onExpired: options.onExpired,
      })
    : null;
  const deliver = createDeliver({
    ...options,
    hasAcks,
    settler: createSettler({ terms, turns, guard, logger, onBlocked }),
    signals: ending.signals,
    isCurrent: () => heartbeat?.isCurrent() ?? true,
    interrupt,
    giveBack,
  });

  function capacity(): Capacity {
    if (blocked !== null && !hasAcks) return exactly(0);
    return isProbing ? exactly(1) : capacityOf(terms.current.subscription);
  }

  function resize(): void {
    pump?.setCapacity(capacity());
  }

  function onBlocked(reason: string | null): void {
    blocked = reason;
    resize();
  }

  /** The current pump counts all held messages, whichever pump delivered them. One that closes asks for no more. */
  function release(): void {
    if (!closing.aborted) pump?.release();
  }

  function accept(received: Received): void {
    const { message } = received;
    const newestPlace = newest.get(message.sequence);
    const known = newestPlace === undefined ? undefined : held.get(newestPlace);
    if (known?.received.message.timestampNanos === message.timestampNanos) {
      known.received = received;
      return release();
    }
    // A recreated stream reuses sequences: an answer for the old message would settle this one.
    if (known !== undefined) known.isRedeliverable = false;
    if (isDeleteMarker(message.headers, message.body.byteLength))
      return endAtOnce(received, { kind: "marker" });
    if (guard.isDone(message)) return endAtOnce(received, { kind: "suppressed" });
    if (options.isSkipped(message)) {
      guard.markDone(message);
      return endAtOnce(received, { kind: "skipped" });
    }
    const isRedeliverable = hasAcks;
    const entry: Entry = { received, attempts: 0, isRedeliverable, receivedAt: performance.now() };
    const place = held.add(entry);
    newest.set(message.sequence, place);
    heartbeat?.begin();
    void deliver.run(entry).then(
      (ending) => finish(entry, { place, ending }),
      (error: unknown) => failInternally(entry, { place, error }),
    );
  }

  function endAtOnce(received: Received, how: Ending): void {
    if (hasAcks) received.ack();
    release();
    report(received, { message: received.message, attempts: 0, ending: how });
  }

  function report(
    key: object,
    { message, attempts, ending: how }: Pick<Settled, "message" | "attempts" | "ending">,
  ): void {
    observer.settled({ key, subscription: terms.current.subscription, message, attempts, ending: how });
  }

  /** A bug interrupts the subscription and loses nothing that can be returned. */
  function failInternally(entry: Entry, { place, error }: { place: number; error: unknown }): void {
    logger.error("Cannot process a message", { error: messageOf(error) });
    interrupt(entry, `Internal error: ${messageOf(error)}`);
    finish(entry, { place, ending: giveBack(entry) });
  }

  function finish(entry: Entry, { place, ending }: { place: number; ending: Ending }): void {
    const { message } = entry.received;
    held.remove(place);
    if (newest.get(message.sequence) === place) newest.delete(message.sequence);
    release();
    report(entry, { message, attempts: entry.attempts, ending });
    if (ending.kind === "delivered" && isProbing) recover();
    if (held.size === 0) onEmpty();
  }

  function recover(): void {
    isProbing = false;
    resize();
    options.onRecovered();
  }

  function interrupt(entry: Held, reason: string, { stops = false } = {}): void {
    if (cause !== null || closing.aborted) return;
    cause = entry;
    // At once: a message that waits for the slot of the cause must not get it.
    ending.begin();
    const { stream, sequence, subject, timestampNanos } = entry.received.message;
    options.onInterrupted({
      text: `Message ${sequence} of ${stream} (${subject}): ${reason}`,
      at: new Date(),
      message: { stream, sequence, timestampNanos },
      ...(stops ? { stops } : {}),
    });
  }

  /** If the pipeline goes on, leave it to the ack wait: another relay holds it, or it was acknowledged after all. */
  function giveBack(entry: Held): Ending {
    if (closing.aborted) returns.add(entry);
    return { kind: "returned" };
  }

  async function stopPull(): Promise<void> {
    const stopping = pump;
    await stopping?.stop();
    // Until then its deliveries are held, and released to it.
    if (pump === stopping) pump = null;
  }

  async function drain(): Promise<void> {
    ending.begin();
    await stopPull();
    returns.flush();
    if (held.size > 0) await new Promise<void>((resolve) => (onEmpty = resolve));
    heartbeat?.stop();
  }

  async function close({ graceMs, isExpired: expired = false }: CloseOptions): Promise<number> {
    isExpired ||= expired;
    if (isExpired) ending.disown();
    const callOff = graceMs === null ? null : ending.endAfter(graceMs);
    closed ??= drain();
    await closed;
    callOff?.();
    return returns.count;
  }

  return {
    pull(startPump) {
      if (pump !== null) throw new Error("A pump is already running");
      if (closing.aborted) throw new Error("The pipeline is closing");
      pump = startPump({ capacity: capacity(), held: held.size, onMessage: accept });
    },
    stopPull,
    resize,
    stats: () => ({
      held: held.size,
      inFlight: turns.taken,
      retrying: deliver.retrying,
      oldestHeldAt: oldestOf(held),
      blocked,
    }),
    close,
  };
}

function oldestOf(held: Iterable<Entry>): number | null {
  let oldest: number | null = null;
  for (const { receivedAt } of held) oldest = Math.min(oldest ?? receivedAt, receivedAt);
  return oldest;
}

/**
 * How many times the connection limit may be held. AUTO: always, so that waiting retries do not stop the rest. NONE: at
 * most, if NATS is so far away that the callback would wait for it.
 */
const HELD_FACTOR = 10;
/** Under AT_LEAST_ONCE the server delivers one at a time: a larger pull only saves requests. */
const AT_LEAST_ONCE_PULL = 100;

/** The server delivers the next message once this one is acknowledged: its connection opens while this request is in flight. */
const AT_MOST_ONCE_HELD = 2;

function capacityOf(subscription: Subscription): Capacity {
  const places = concurrencyOf(subscription);
  switch (subscription.qos) {
    case "AUTO":
      return exactly(places * HELD_FACTOR);
    case "AT_LEAST_ONCE":
      return exactly(AT_LEAST_ONCE_PULL);
    case "AT_MOST_ONCE":
      return exactly(AT_MOST_ONCE_HELD);
    case "NONE":
      return { usual: places, most: places * HELD_FACTOR };
  }
}

function exactly(count: number): Capacity {
  return { usual: count, most: count };
}

export interface PumpHandlers {
  readonly capacity: Capacity;
  /** Messages still held from the previous pump: this one releases them. */
  readonly held: number;
  readonly onMessage: (received: Received) => void;
}

export interface PipelineOptions {
  readonly terms: TermsHolder;
  /** Slots of the subscription: replays take them too. */
  readonly turns: Turns;
  readonly guard: Guard;
  /** True: acknowledge it without a request. */
  readonly isSkipped: (message: Message) => boolean;
  /** Null: the subscription has none. */
  readonly deadLetters: DeadLetters | null;
  /** When NATS last received something from this relay, on the clock of `performance.now`. */
  readonly lastPongAt: () => number;
  /** One message at a time until one is delivered. */
  readonly isProbe: boolean;
  readonly observer: Observer;
  readonly logger: Logger;
  /** Called once; the owner then closes the pipeline. */
  readonly onInterrupted: (cause: FailureCause) => void;
  /** NATS was silent for so long that another relay may hold the messages. The owner then closes the pipeline. */
  readonly onExpired: () => void;
  /** A probe was delivered. */
  readonly onRecovered: () => void;
}

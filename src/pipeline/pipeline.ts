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
import type { Pump, PumpOptions } from "#consumer/pump.ts";
import type { Received } from "#consumer/received.ts";
import { isDeleteMarker, type Message } from "#delivery/message.ts";
import type { FailureCause } from "#delivery/status.ts";
import { concurrencyOf, type Subscription } from "#delivery/subscription.ts";
import type { DeadLetters } from "#letters/store.ts";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { createClosing } from "./closing.ts";
import { createDeliver } from "./deliver.ts";
import type { Guard } from "./guard.ts";
import type { ParkedKey } from "./lanes.ts";
import { createHeartbeat } from "./heartbeat.ts";
import { createHolding, type Entry, type Holding } from "./holding.ts";
import type { Ending, Settled, Observer } from "./observer.ts";
import { createOrdered, type ResumedKey } from "./ordered.ts";
import { createReturns } from "./returns.ts";
import { type Held, createSettler } from "./settle.ts";
import type { TermsHolder } from "./terms.ts";
import type { Turns } from "./turns.ts";
import type { ConsumerCount } from "./window.ts";

export interface PipelineStats {
  /** Received and not settled. */
  readonly held: number;
  readonly inFlight: number;
  readonly retrying: number;
  /** When the first of these is sent again, on the clock of `performance.now`; null: none is. */
  readonly nextRetryAt: number | null;
  /** When the oldest held message was received, on the clock of `performance.now`; null: none is held. */
  readonly oldestHeldAt: number | null;
  /** Why no dead letter can be stored; null: they can be. */
  readonly blocked: string | null;
  /** Why an ordered subscription sends nothing yet: not all that is out is held. Null: all is, or soon will be. */
  readonly gathering: string | null;
  readonly parkedKeys: number;
  /** Of all parked keys. */
  readonly parkedMessages: number;
}

/** Of a subscription without a pipeline. */
export const NO_MESSAGES: PipelineStats = {
  held: 0,
  inFlight: 0,
  retrying: 0,
  nextRetryAt: null,
  oldestHeldAt: null,
  blocked: null,
  gathering: null,
  parkedKeys: 0,
  parkedMessages: 0,
};

interface CloseOptions {
  /** After this time requests in flight are aborted; null: never, each ends by its own time limit. */
  readonly graceMs: number | null;
  /** Another relay may hold the messages: return none, and abort at once what the stream will deliver again. */
  readonly isExpired?: boolean;
}

export interface Pipeline {
  /**
   * Starts to pull. Throws while another pump pulls or the pipeline closes: two pumps would hold twice the limit.
   * `maxAckPending`: how many messages the consumer gives out at a time.
   */
  pull: (startPump: (handlers: PumpHandlers) => Pump, maxAckPending?: number) => void;
  /** Ends the pump, if there is one; resolves when it can deliver nothing more. Delivered messages stay held. */
  stopPull: () => Promise<void>;
  /** Changes the limit of held messages to the current terms; returns none if more are held. */
  resize: () => void;
  /** The connection was lost: an ordered subscription sends nothing until it holds all that is out. */
  regather: () => void;
  stats: () => PipelineStats;
  /** Keys that are parked, oldest first. */
  parked: () => readonly ParkedKey[];
  /** Sends the first message of a parked key now; with `skip` it is acknowledged without a request. */
  resumeParked: (key: string, options: { readonly skip: boolean }) => ResumedKey;
  /**
   * Resolves when nothing is held any more, with the number of messages that were returned to the stream. A second call
   * can only shorten the grace.
   */
  close: (options: CloseOptions) => Promise<number>;
}

export function createPipeline(options: PipelineOptions): Pipeline {
  const { terms, turns, guard, observer, logger } = options;
  const { qos, source } = terms.current.subscription;
  const hasAcks = qos !== "NONE";
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
          for (const { isRedeliverable, received } of holding.entries())
            if (isRedeliverable) received.working();
        },
        lastPongAt: options.lastPongAt,
        isHolding: () => holding.size > 0,
        onExpired: options.onExpired,
      })
    : null;
  const deliver = createDeliver({
    ...options,
    hasAcks,
    settler: createSettler({ terms, turns, guard, logger, onBlocked }),
    signals: ending.signals,
    isCurrent,
    interrupt,
    giveBack,
  });
  const holdingOptions = { deliver, onEnded: finish, onError: failInternally };
  const ordered =
    qos === "AT_LEAST_ONCE"
      ? createOrdered({
          ...holdingOptions,
          terms,
          turns,
          closing,
          countConsumer: options.countConsumer,
          isCurrent,
          isProbing: () => isProbing,
          giveBack,
          skip: deliver.skip,
          interrupt,
          onRoom: updateCapacity,
        })
      : null;
  const holding: Holding = ordered ?? createHolding(holdingOptions);

  function isCurrent(): boolean {
    return heartbeat?.isCurrent() ?? true;
  }

  function capacity(): Capacity {
    if (blocked !== null && !hasAcks) return exactly(0);
    if (ordered !== null) return ordered.capacity();
    return isProbing ? exactly(1) : capacityOf(terms.current.subscription);
  }

  function updateCapacity(): void {
    pump?.setCapacity(capacity());
  }

  function resize(): void {
    ordered?.resize();
    updateCapacity();
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
    if (holding.renew(received)) return release();
    if (isDeleteMarker(message.headers, message.body.byteLength))
      return endAtOnce(received, { kind: "marker" });
    if (guard.isDone(message)) return endAtOnce(received, { kind: "suppressed" });
    if (options.isSkipped(message)) {
      guard.markDone(message);
      return endAtOnce(received, { kind: "skipped" });
    }
    heartbeat?.begin();
    holding.add({
      received,
      attempts: 0,
      isRedeliverable: hasAcks,
      mayHaveLetter: message.deliveryCount > 1,
      postponements: 0,
      trace: observer.trace?.(message) ?? null,
      receivedAt: performance.now(),
    });
  }

  function endAtOnce(received: Received, how: Ending): void {
    if (hasAcks) received.ack();
    holding.pass(received);
    release();
    report(received, { message: received.message, attempts: 0, ending: how, trace: null });
  }

  function report(key: object, how: Pick<Settled, "message" | "attempts" | "ending" | "trace">): void {
    observer.settled({ key, subscription: terms.current.subscription, ...how });
  }

  /** A bug interrupts the subscription and loses nothing that can be returned. */
  function failInternally(entry: Entry, error: unknown): Ending {
    logger.error("Cannot process a message", { error: messageOf(error) });
    interrupt(entry, `Internal error: ${messageOf(error)}`);
    return giveBack(entry);
  }

  function finish(entry: Entry, ending: Ending): void {
    release();
    const { received, attempts, trace } = entry;
    report(entry, { message: received.message, attempts, ending, trace });
    if (ending.kind === "delivered" && isProbing) recover();
    if (holding.size === 0) onEmpty();
  }

  function recover(): void {
    isProbing = false;
    resize();
    options.onRecovered();
  }

  function interrupt(entry: Held, reason: string, { stops = false } = {}): void {
    if (cause !== null || closing.aborted) return;
    // A stop by the callback is about the subscription, not about one key.
    if (!stops && ordered?.takeFailure(entry, reason) === true) return;
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
    if (holding.size > 0) await new Promise<void>((resolve) => (onEmpty = resolve));
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
    pull(startPump, maxAckPending) {
      if (pump !== null) throw new Error("A pump is already running");
      if (closing.aborted) throw new Error("The pipeline is closing");
      ordered?.regather(maxAckPending);
      pump = startPump({
        capacity: capacity(),
        held: holding.size,
        ...(ordered === null ? {} : { room: ordered.room }),
        onMessage: accept,
      });
    },
    stopPull,
    resize,
    regather: () => ordered?.regather(),
    stats: () => ({
      held: holding.size,
      inFlight: turns.taken,
      retrying: deliver.retrying,
      nextRetryAt: deliver.nextRetryAt,
      oldestHeldAt: oldestOf(holding.entries()),
      blocked,
      gathering: ordered?.obstacle ?? null,
      ...countParked(ordered?.parked() ?? []),
    }),
    parked: () => ordered?.parked() ?? [],
    resumeParked: (key, how) => ordered?.resumeParked(key, how) ?? "not-parked",
    close,
  };
}

function countParked(keys: readonly ParkedKey[]) {
  return { parkedKeys: keys.length, parkedMessages: keys.reduce((sum, { messages }) => sum + messages, 0) };
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
/** The server delivers the next message once this one is acknowledged: its connection opens while this request is in flight. */
const AT_MOST_ONCE_HELD = 2;

function capacityOf(subscription: Subscription): Capacity {
  const places = concurrencyOf(subscription);
  switch (subscription.qos) {
    case "AUTO":
      return exactly(places * HELD_FACTOR);
    case "AT_LEAST_ONCE":
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
  /** What the window of an ordered subscription has room for. */
  readonly room?: PumpOptions["room"];
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
  /**
   * How much the consumer of an ordered subscription has given out, to whomever. Null: it gives out one message at a time by
   * itself. Never rejects.
   */
  readonly countConsumer: (() => Promise<ConsumerCount | null>) | null;
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

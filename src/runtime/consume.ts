// Consumes until stopped or interrupted: one pipeline, fed by a pump that is replaced whenever its consumer is lost.
//
//   aligning --consumer aligned--> pulling --unusable--> waiting --usable--> pulling
//      ^                              '--consumer lost--> its pump stops, then a backoff that doubles with each loss
//      '----------------------------------------------------------------------------'

import { repeatDelayMs } from "#delivery/backoff.ts";
import type { Message } from "#delivery/message.ts";
import type { FailureCause } from "#delivery/status.ts";
import { messageOf, RelayError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";
import type { Aligned, AlignOptions } from "#consumer/consumer.ts";
import { type ConsumerSettings, toConsumerSettings } from "#consumer/config.ts";
import { FILTERS } from "#consumer/fields.ts";
import type { ConsumerReading } from "#consumer/info.ts";
import type { DeadLetters } from "#letters/store.ts";
import type { Pump, PumpOptions } from "#consumer/pump.ts";
import type { Guard } from "#pipeline/guard.ts";
import type { Observer } from "#pipeline/observer.ts";
import type { PipelineOptions, PumpHandlers, Pipeline } from "#pipeline/pipeline.ts";
import type { ConsumerCount } from "#pipeline/window.ts";
import type { TermsHolder } from "#pipeline/terms.ts";
import type { Turns } from "#pipeline/turns.ts";
import { type AckFloor, watchAckFloor } from "./ack-floor.ts";
import type { SharedBackoff } from "./shared-backoff.ts";
import { createWholeMessages, type WholeMessages } from "./whole-messages.ts";

/** Dependencies, made by the composition root. */
export interface ConsumeParts {
  /** Resolves with false when `signal` aborts before NATS is connected. */
  readonly connected: (signal: AbortSignal) => Promise<boolean>;
  readonly lastPongAt: () => number;
  readonly alignConsumer: (settings: ConsumerSettings, options: AlignOptions) => Promise<Aligned>;
  /** null: there is no such consumer. */
  readonly readConsumer: (
    settings: ConsumerSettings,
  ) => Promise<Pick<
    ConsumerReading,
    "ackFloor" | "config" | "waiting" | "ackPending" | "consumerSequence"
  > | null>;
  /** Calls `listener` after each reconnect. Returns the unsubscribe. */
  readonly onReconnect: (listener: () => void) => () => void;
  /** Calls `take` for each periodic consumer list that contains this consumer; never if listing is forbidden. */
  readonly followConsumer: (settings: ConsumerSettings, take: (reading: AckFloor) => void) => () => void;
  readonly startPump: (
    settings: ConsumerSettings,
    handlers: PumpHandlers & Pick<PumpOptions, "consumerCreated" | "position" | "onUsable" | "onLost">,
  ) => Pump;
  readonly createPipeline: (options: PipelineOptions) => Pipeline;
  /** Shared by all subscriptions that wait for their consumers. */
  readonly backoff: SharedBackoff;
  /** Null: the subscription has no dead letters. */
  readonly deadLetters: DeadLetters | null;
  readonly observer: Observer;
  readonly logger: Logger;
}

interface ConsumeOptions {
  readonly terms: TermsHolder;
  readonly turns: Turns;
  readonly guard: Guard;
  readonly isSkipped: (message: Message) => boolean;
  readonly isProbe: boolean;
  /** See `toConsumerSettings`. */
  readonly isOneByOne: boolean;
  /** Another relay may consume from now on. */
  readonly lost: AbortSignal;
  /** Stops consuming. Messages in flight then have `graceMs`; null: no limit. */
  readonly stopping: AbortSignal;
  readonly graceMs: () => number | null;
  readonly onPipeline: (pipeline: Pipeline) => void;
  /** Called at once, while other messages may still be in flight. */
  readonly onInterrupted: (cause: FailureCause) => void;
  readonly onWaiting: (reason: string) => void;
  readonly onConsuming: () => void;
  readonly onRecovered: () => void;
}

/**
 * Why consuming ended. `expired`: NATS was silent for so long that another relay may have taken over. `lost`: another relay
 * has taken over.
 */
export type ConsumeEnd =
  | { readonly kind: "interrupted" }
  | { readonly kind: "expired" }
  | { readonly kind: "lost" }
  | { readonly kind: "stopped" };

const ALIGN_BACKOFF = { initialMs: 500, maxMs: 30_000 };
/** A consumer that stayed usable this long counts as useful, even if no message came. */
const OF_USE_MS = 10_000;
/** If aligning the consumer takes longer, the subscription shows as waiting. */
const FIND_AGAIN_MS = 2000;
const MAX_REASONS = 16;
/** Shortest time between two takeovers of a consumer that another relay wants with other acks. */
const CONTEST_MS = 30_000;

/** Resolves when no message is held any more. Never rejects. */
export async function consume(options: ConsumeOptions, parts: ConsumeParts): Promise<ConsumeEnd> {
  const { terms, turns, guard, isSkipped, isProbe, stopping, onRecovered } = options;
  const { deadLetters, lastPongAt, observer, logger } = parts;
  const ended = Promise.withResolvers<ConsumeEnd>();
  const ending = new AbortController();
  const finish = (end: ConsumeEnd) => {
    ended.resolve(end);
    ending.abort();
  };
  const onStop = () => finish({ kind: "stopped" });
  const onTakenOver = () => finish({ kind: "lost" });
  stopping.addEventListener("abort", onStop);
  options.lost.addEventListener("abort", onTakenOver);
  const pipeline = parts.createPipeline({
    terms,
    turns,
    guard,
    isSkipped,
    deadLetters,
    lastPongAt,
    countConsumer: options.isOneByOne ? null : () => countConsumer(options, parts),
    isProbe,
    observer,
    logger,
    onInterrupted: (cause) => {
      finish({ kind: "interrupted" });
      options.onInterrupted(cause);
    },
    onExpired: () => finish({ kind: "expired" }),
    onRecovered,
  });
  options.onPipeline(pipeline);
  const forgetReconnects = parts.onReconnect(pipeline.regather);
  if (stopping.aborted) onStop();
  if (options.lost.aborted) onTakenOver();
  const supervision = superviseConsumer(pipeline, { ...options, signal: ending.signal }, parts).catch(
    (error: unknown) => {
      // On a bug, interrupt: messages that can be given back are not lost.
      logger.error("The consumer could not be supervised", { error: messageOf(error) });
      finish({ kind: "interrupted" });
      options.onInterrupted({
        text: `Internal error: ${messageOf(error)}`,
        at: new Date(),
        message: null,
      });
    },
  );
  const end = await ended.promise;
  await supervision;
  stopping.removeEventListener("abort", onStop);
  options.lost.removeEventListener("abort", onTakenOver);
  forgetReconnects();
  switch (end.kind) {
    case "stopped": {
      const messages = await pipeline.close({ graceMs: options.graceMs() });
      if (messages > 0) logger.info("Given back to the stream", { messages });
      break;
    }
    case "interrupted":
      await pipeline.close({ graceMs: null });
      break;
    case "expired":
      logger.warn("NATS was silent for too long: dropped the held messages, other relays may deliver them");
      await pipeline.close({ graceMs: null, isExpired: true });
      break;
    case "lost":
      logger.warn("Another relay has taken the subscription over: dropped the held messages");
      await pipeline.close({ graceMs: null, isExpired: true });
      break;
  }
  return end;
}

/** Null: it cannot be read now. Never rejects. */
async function countConsumer(
  { terms }: Pick<ConsumeOptions, "terms">,
  { readConsumer, logger }: ConsumeParts,
): Promise<ConsumerCount | null> {
  try {
    return await readConsumer(toConsumerSettings(terms.current.subscription));
  } catch (error) {
    logger.debug("Cannot read how many messages are out", { error: messageOf(error) });
    return null;
  }
}

/** Keeps a pump running on an aligned consumer until `signal` aborts. */
async function superviseConsumer(
  pipeline: Pipeline,
  { terms, guard, isOneByOne, onWaiting, onConsuming, signal }: ConsumeOptions & { signal: AbortSignal },
  parts: ConsumeParts,
): Promise<void> {
  const { logger } = parts;
  const settings = toConsumerSettings(terms.current.subscription, { isOneByOne });
  const { source, durable } = settings;
  const waiting = createWaiting({ onWaiting, onConsuming, logger });
  let takenAt = Number.NEGATIVE_INFINITY;
  const mayTakeAcks = () => {
    const isContest = performance.now() - takenAt < CONTEST_MS;
    if (!isContest) takenAt = performance.now();
    return !isContest;
  };
  /** In a row; starts again at 1 when the lost consumer had been useful. */
  let losses = 0;
  let hasSkipped = false;
  const readConsumer = () => parts.readConsumer(settings);
  const whole = createWholeMessages({ acks: settings.acks, readConsumer, logger });
  for (;;) {
    const aligning = { guard, waiting, signal, mayTakeAcks, hasSkipped, losses };
    const aligned = await alignConsumer(settings, aligning, parts);
    whole.giveBack();
    if (aligned === null || signal.aborted) return;
    if (losses === 0) onConsuming();
    const lost = await pullUntilLost(pipeline, { aligned, guard, waiting, whole, signal }, parts);
    if (lost === null) return;
    hasSkipped = lost.reason.includes(FILTERS);
    await pipeline.stopPull();
    losses = lost.wasOfUse ? 1 : losses + 1;
    if (losses === 1) {
      logger.warn("Consumer lost", { consumer: durable, reason: lost.reason });
      continue;
    }
    waiting.because(`Cannot consume ${source.stream} as ${durable}: ${lost.reason}`);
    const delayMs = repeatDelayMs(losses - 1, { ...ALIGN_BACKOFF, random: Math.random() });
    if (!(await sleep(delayMs, signal))) return;
  }
}

interface Loss {
  readonly reason: string;
  /** A message came, or the consumer was usable for some time. */
  readonly wasOfUse: boolean;
}

/** Runs one pump until its consumer is lost; the pump may still run then. Null: `signal` aborted. */
async function pullUntilLost(
  pipeline: Pipeline,
  {
    aligned: { settings, consumerCreated },
    guard,
    waiting,
    whole,
    signal,
  }: Pick<Aligning, "guard" | "waiting" | "signal"> & { aligned: Aligned; whole: WholeMessages },
  parts: ConsumeParts,
): Promise<Loss | null> {
  const lost = Promise.withResolvers<string | null>();
  const onAbort = () => lost.resolve(null);
  signal.addEventListener("abort", onAbort);
  let received = 0;
  let usableAt = Number.POSITIVE_INFINITY;
  const floor = watchAckFloor(settings, {
    ...parts,
    guard,
    isHolding: () => pipeline.stats().held > 0,
    onLost: lost.resolve,
  });
  pipeline.pull(({ onMessage, ...handlers }) => {
    const watched = whole.watch({ onMessage, release: () => pump.release(), onLost: lost.resolve });
    const pump = parts.startPump(settings, {
      ...handlers,
      consumerCreated,
      position: guard.position,
      onMessage(message) {
        received += 1;
        floor.wake();
        watched(message);
      },
      onUsable(obstacle) {
        usableAt = obstacle === null ? performance.now() : Number.POSITIVE_INFINITY;
        if (obstacle === null) waiting.end();
        else waiting.because(obstacle);
      },
      onLost: lost.resolve,
    });
    return pump;
  }, settings.maxAckPending);
  const reason = await lost.promise;
  floor.stop();
  signal.removeEventListener("abort", onAbort);
  if (reason === null) return null;
  return { reason, wasOfUse: received > 0 || performance.now() - usableAt >= OF_USE_MS };
}

interface Waiting {
  because: (reason: string) => void;
  /** It consumes again: each reason may be logged again. */
  end: () => void;
}

/** Reports each reason, and logs it once per wait. */
function createWaiting({
  onWaiting,
  onConsuming,
  logger,
}: Pick<ConsumeOptions, "onWaiting" | "onConsuming"> & { logger: Logger }): Waiting {
  const logged = new Set<string>();
  return {
    because(reason) {
      onWaiting(reason);
      if (logged.has(reason)) return;
      if (logged.size >= MAX_REASONS) logged.clear();
      logged.add(reason);
      logger.warn("Subscription waits", { reason });
    },
    end() {
      logged.clear();
      onConsuming();
    },
  };
}

interface Aligning extends Pick<ConsumeOptions, "guard">, Omit<AlignOptions, "position"> {
  readonly waiting: Waiting;
  readonly losses: number;
}

/** Retries until the consumer is aligned. Null: `signal` aborted. */
async function alignConsumer(
  settings: ConsumerSettings,
  { guard, waiting, losses, ...options }: Aligning,
  { connected, alignConsumer: align, backoff, logger }: ConsumeParts,
): Promise<Aligned | null> {
  const { durable, source } = settings;
  const { signal } = options;
  /** The reason without the consumer's name, so that subscriptions with the same trouble share a backoff. */
  let obstacle = "";
  for (let tryNumber = 1; ; tryNumber += 1) {
    if (!(await connected(signal))) return null;
    const overdue = setTimeout(
      () => waiting.because(`Cannot consume ${source.stream} as ${durable}: JetStream does not answer`),
      FIND_AGAIN_MS,
    );
    try {
      const aligned = await align(settings, { position: guard.position(), ...options });
      await guard.align(aligned);
      backoff.passed(obstacle);
      if (losses <= 1 || aligned.change !== "kept") {
        logger.info("Consuming", { stream: source.stream, consumer: durable, change: aligned.change });
        for (const note of aligned.notes) logger.warn(note, { consumer: durable });
      }
      return signal.aborted ? null : aligned;
    } catch (error) {
      if (signal.aborted) return null;
      if (error instanceof RelayError && error.code === "stream-missing") await guard.expectStream();
      waiting.because(messageOf(error));
      obstacle = messageOf(error).replaceAll(durable, "");
    } finally {
      clearTimeout(overdue);
    }
    const delayMs = repeatDelayMs(tryNumber, { ...ALIGN_BACKOFF, random: Math.random() });
    if (!(await backoff.wait(obstacle, { delayMs, signal }))) return null;
  }
}

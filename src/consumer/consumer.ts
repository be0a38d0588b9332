// The durable consumer of a subscription: brought to what the subscription asks for, without losing its place.

import { parseNatsTimestamp } from "#delivery/message.ts";
import type { DeliverPolicy } from "#delivery/subscription.ts";
import { sleep } from "#lib/sleep.ts";

import type { ConsumerInfo, StreamInfo } from "#nats/answers.ts";
import { API_ERRORS, type ApiAnswer } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import {
  type ConsumerSettings,
  fitToStream,
  type Start,
  toConsumerConfig,
  toPolicy,
  toUpdatedConfig,
} from "./config.ts";
import { floorOf, wasOvertaken } from "./info.ts";
import { type ConsumerPlan, describeRecreation, planConsumer, type Sight } from "./plan.ts";
import { checkEcho, refusal, requestPut, toError } from "./put.ts";
import { replaceConsumer } from "./replace.ts";
import { isPresent, lookAtConsumer, lookAtRest } from "./snapshot.ts";
import { checkContinuity, type Continuity, type Position, type RememberedPosition } from "./position.ts";

export interface AlignedConsumer {
  readonly consumerCreated: string;
  readonly streamCreated: string;
  /** Of the stream: its last message, which may be deleted by now. */
  readonly lastSequence: number;
  readonly lastTimestampNanos: bigint | null;
  /** Of the stream with what Relay remembers of it. */
  readonly continuity: Continuity;
  /** Everything of the stream up to it is done; without acks: delivered; null: not known. */
  readonly ackFloor: number | null;
  readonly change: "kept" | "created" | "updated" | "recreated";
  /** For people: what could not be done as asked, or was done in another way. */
  readonly notes: readonly string[];
}

export interface Aligned extends AlignedConsumer {
  /** What was asked for, as far as the limits of stream and account let it. */
  readonly settings: ConsumerSettings;
}

/** Another relay may be at the same consumer: look again, so often at most. */
const MAX_LOOKS = 6;
const LOOK_AGAIN_MS = 50;
const UNKNOWN: Continuity = { kind: "unknown" };
const NEVER = new AbortController().signal;
export const NOTHING_KNOWN = { takesAcks: null, maxAckPending: Infinity };

/** One look came to an end, or found that the ground had moved. */
export type Look = { readonly kind: "aligned"; readonly aligned: Aligned } | { readonly kind: "look-again" };

export interface AlignOptions {
  /** What Relay itself knows to be done; null: nothing. A consumer that is gone starts after it. */
  readonly position: RememberedPosition | null;
  /** Somebody gave it other filters while it was pulled from: it goes back to `position`. */
  readonly hasSkipped: boolean;
  /** Asked when a consumer with other acks is about to be deleted, which may be that of another relay. */
  readonly mayTakeAcks: () => boolean;
  /** Ends the waits; what is under way ends by its own time limits. */
  readonly signal: AbortSignal;
}

/** What one call knows. */
interface Alignment extends AlignOptions {
  readonly connection: Connection;
  readonly wanted: ConsumerSettings;
  /** What `mayTakeAcks` answered; null: it was not asked. */
  takesAcks: boolean | null;
  /** The server was heard to allow no more than that; it does not say so before it is asked for more. */
  maxAckPending: number;
}

/** One look at the ground. */
export interface Ground {
  readonly alignment: Alignment;
  readonly sight: Sight;
  /** What Relay itself knows to be done, held against the stream; null: nothing. */
  readonly position: Position | null;
  readonly settings: ConsumerSettings;
  readonly isLast: boolean;
}

/**
 * Makes the consumer, or changes it in place, or makes it anew at its last position where JetStream cannot change it.
 * Throws RelayError `stream-missing`, `nats-unavailable` or `consumer-refused`.
 */
export function alignConsumer(
  connection: Connection,
  wanted: ConsumerSettings,
  options: Partial<AlignOptions> = {},
): Promise<Aligned> {
  const defaults = { position: null, hasSkipped: false, mayTakeAcks: () => true, signal: NEVER };
  const alignment = { connection, wanted, ...defaults, ...options, ...NOTHING_KNOWN };
  return lookUntil(alignment, lookOnce);
}

/**
 * Makes the consumer of a subscription that does not run yet, so that it misses nothing; one that is there is left alone. Not on
 * a work queue, which keeps its messages by itself and lets no other subscription have them while there is a consumer. Null:
 * nothing was made. Throws as `alignConsumer` does.
 */
export async function makeConsumer(
  connection: Connection,
  wanted: ConsumerSettings,
  options: Partial<AlignOptions> = {},
): Promise<Aligned | null> {
  const { stream, consumer } = await lookAtConsumer(connection, wanted);
  if (consumer !== null || stream.config.retention === "workqueue") return null;
  return alignConsumer(connection, wanted, options);
}

/** Looks, and acts on what it sees, until that comes to an end. */
export async function lookUntil(
  alignment: Alignment,
  act: (ground: Ground) => Promise<Look>,
): Promise<Aligned> {
  const { connection, wanted, signal } = alignment;
  for (let looks = 1; looks <= MAX_LOOKS; looks += 1) {
    const sight = await lookAtRest(connection, wanted, signal);
    const { maxAckPending, ...fitted } = fitToStream(wanted, sight.stream);
    const settings = { ...fitted, maxAckPending: Math.min(maxAckPending, alignment.maxAckPending) };
    const position = await checkPosition(alignment, sight.stream);
    const look = await act({ alignment, sight, position, settings, isLast: looks === MAX_LOOKS });
    if (look.kind === "aligned") return look.aligned;
    await sleep(LOOK_AGAIN_MS * looks * (0.5 + Math.random()), signal);
  }
  throw refusal(wanted, "somebody else keeps changing it");
}

async function checkPosition(
  { connection, wanted, position }: Alignment,
  info: StreamInfo,
): Promise<Position | null> {
  if (position === null) return null;
  const { domain, stream } = wanted.source;
  const { streamCreated, sequence } = position;
  const continuity = await checkContinuity(connection, { domain, stream, info }, position);
  return { streamCreated, sequence, continuity };
}

async function lookOnce(ground: Ground): Promise<Look> {
  const { alignment, sight, position, settings } = ground;
  const plan = planConsumer(sight, settings, { position, hasSkipped: alignment.hasSkipped });
  switch (plan.kind) {
    case "refuse":
      throw refusal(settings, plan.reason);
    case "keep":
      return aligned(ground, plan.consumer, { change: "kept", notes: plan.notes });
    case "create": {
      const { start, notes, isKnown } = plan.planned;
      return make(ground, { start, notes, change: isKnown ? "recreated" : "created" });
    }
    case "update":
      return update(ground, plan);
    case "recreate":
      return remake(ground, plan);
  }
}

export async function replace(
  ground: Ground,
  replacement: { consumer: ConsumerInfo; start: DeliverPolicy; place: DeliverPolicy },
  told: Pick<AlignedConsumer, "change" | "notes">,
): Promise<Look> {
  const { alignment, sight, settings, isLast } = ground;
  const { stream } = sight;
  const replaced = await replaceConsumer(alignment.connection, settings, { stream, ...replacement });
  switch (replaced.kind) {
    case "done":
      return aligned(ground, replaced.consumer, told);
    case "overtaken":
      if (isLast) throw refusal(settings, "somebody else keeps changing it");
      return { kind: "look-again" };
    case "refused":
      if (!isLast && hasLearned(alignment, settings, replaced.answer)) return { kind: "look-again" };
      throw toError(settings, replaced.answer);
  }
}

/** True if less is asked for from now on. */
function hasLearned(alignment: Alignment, settings: ConsumerSettings, answer: ApiAnswer<unknown>): boolean {
  if (answer.kind !== "refused" || answer.code !== API_ERRORS.maxAckPendingTooHigh) return false;
  const limit = Number(/limit of (\d+)/.exec(answer.reason)?.[1] ?? 0);
  if (limit < 1 || limit >= settings.maxAckPending) return false;
  alignment.maxAckPending = limit;
  return true;
}

export async function make(
  ground: Ground,
  { start, ...told }: { start: Start; notes: readonly string[]; change: "created" | "recreated" },
): Promise<Look> {
  const { alignment, settings, isLast } = ground;
  const { connection } = alignment;
  const config = toConsumerConfig(settings, start);
  const answer = await requestPut(connection, { settings, config, action: "create" });
  if (answer.kind === "ok") {
    checkEcho(answer.value, settings);
    return aligned(ground, answer.value, told);
  }
  const isOvertaken =
    hasLearned(alignment, settings, answer) ||
    wasOvertaken(answer) ||
    (await isPresent(connection, settings));
  if (!isOvertaken || isLast) throw toError(settings, answer);
  return { kind: "look-again" };
}

async function update(ground: Ground, plan: Extract<ConsumerPlan, { kind: "update" }>): Promise<Look> {
  const { alignment, settings, isLast } = ground;
  const { connection } = alignment;
  const config = toUpdatedConfig(plan.consumer.config, settings);
  const answer = await requestPut(connection, { settings, config, action: "update" });
  if (answer.kind === "ok") {
    checkEcho(answer.value, settings);
    return aligned(ground, answer.value, { change: "updated", notes: plan.notes });
  }
  const isOvertaken =
    hasLearned(alignment, settings, answer) ||
    wasOvertaken(answer) ||
    !(await isPresent(connection, settings));
  if (!isOvertaken || isLast) throw toError(settings, answer);
  return { kind: "look-again" };
}

async function remake(ground: Ground, plan: Extract<ConsumerPlan, { kind: "recreate" }>): Promise<Look> {
  const { alignment, settings } = ground;
  // Asked once: one that was overtaken has taken nothing yet.
  if (plan.takesAcks) alignment.takesAcks ??= alignment.mayTakeAcks();
  if (plan.takesAcks && alignment.takesAcks !== true) {
    throw refusal(settings, "another relay wants it with another quality of service");
  }
  const { start, notes } = plan.planned;
  const place = toPolicy(start, settings);
  const note = `Consumer ${settings.durable} was made ${describeRecreation(plan)}`;
  return replace(
    ground,
    { consumer: plan.consumer, start: place, place },
    { change: "recreated", notes: [note, ...notes] },
  );
}

function aligned(
  { sight: { stream }, position, settings }: Ground,
  info: ConsumerInfo,
  { change, notes }: Pick<AlignedConsumer, "change" | "notes">,
): Look {
  const { last_seq: lastSequence, last_ts: lastTime } = stream.state;
  const floor = floorOf(info, lastSequence);
  return {
    kind: "aligned",
    aligned: {
      consumerCreated: info.created,
      streamCreated: stream.created,
      lastSequence,
      lastTimestampNanos: parseNatsTimestamp(lastTime),
      continuity: position?.continuity ?? UNKNOWN,
      // Servers say that what is to start beyond the end was delivered up to its start.
      ackFloor: floor === null ? null : Math.min(floor, lastSequence),
      change,
      notes,
      settings,
    },
  };
}

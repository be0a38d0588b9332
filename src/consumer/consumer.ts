// Aligns the durable consumer of a subscription with its settings: creates, updates or re-creates it without losing its position.

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
import { hasCaughtUp } from "./mirror.ts";
import { type ConsumerPlan, describeRecreation, planConsumer, type Snapshot } from "./plan.ts";
import { checkEcho, refusal, requestPut, toError } from "./put.ts";
import { replaceConsumer } from "./replace.ts";
import { isPresent, takeSnapshot, takeSettledSnapshot } from "./snapshot.ts";
import { checkContinuity, type Continuity, type Position, type RememberedPosition } from "./position.ts";

export interface AlignedConsumer {
  readonly consumerCreated: string;
  readonly streamCreated: string;
  /** Last sequence of the stream; that message may be deleted by now. */
  readonly lastSequence: number;
  readonly lastTimestampNanos: bigint | null;
  /** Whether the stream still has what Relay remembers of it. */
  readonly continuity: Continuity;
  /** Everything up to this sequence is done; without acks: delivered; null: not known. */
  readonly ackFloor: number | null;
  readonly change: "kept" | "created" | "updated" | "recreated";
  /** Warnings for people: what Relay could not do as asked, or did in another way. */
  readonly notes: readonly string[];
}

export interface Aligned extends AlignedConsumer {
  /** The wanted settings, within the limits of stream and account. */
  readonly settings: ConsumerSettings;
}

/** Another relay may change the same consumer meanwhile: start over, this many times at most. */
const MAX_ROUNDS = 6;
const NEXT_ROUND_MS = 50;
const UNKNOWN: Continuity = { kind: "unknown" };
const NEVER = new AbortController().signal;
export const NO_LIMITS_KNOWN = { takesAcks: null, maxAckPending: Infinity, caughtUp: null };

/** `retry`: somebody else changed the consumer meanwhile. */
export type RoundResult =
  | { readonly kind: "aligned"; readonly aligned: Aligned }
  | { readonly kind: "retry" };

export interface AlignOptions {
  /** How far Relay knows the stream to be done; null: unknown. A missing consumer starts after it. */
  readonly position: RememberedPosition | null;
  /** Somebody changed its filters while it was pulled from: it goes back to `position`. */
  readonly hasSkipped: boolean;
  /** Asked before a consumer with other acks is deleted, which another relay may want. */
  readonly mayTakeAcks: () => boolean;
  /** Ends the waits. Requests under way end by their own time limits. */
  readonly signal: AbortSignal;
}

/** The state of one alignment, over all its rounds. */
interface Alignment extends AlignOptions {
  readonly connection: Connection;
  readonly wanted: ConsumerSettings;
  /** The answer of `mayTakeAcks`; null: not asked yet. */
  takesAcks: boolean | null;
  /** The server's limit, learned from a refusal: it does not show this limit before. */
  maxAckPending: number;
  /** `created` of the mirror that was seen to have all that its origin has; null: none. */
  caughtUp: string | null;
}

/** One round: a snapshot of the server, and what follows from it. */
export interface Round {
  readonly alignment: Alignment;
  readonly snapshot: Snapshot;
  /** How far Relay knows the stream to be done, compared with the stream; null: unknown. */
  readonly position: Position | null;
  readonly settings: ConsumerSettings;
  readonly isLast: boolean;
}

/**
 * Creates the consumer, updates it, or re-creates it at its last position if JetStream cannot update it in place.
 * Throws RelayError `stream-missing`, `nats-unavailable` or `consumer-refused`.
 */
export function alignConsumer(
  connection: Connection,
  wanted: ConsumerSettings,
  options: Partial<AlignOptions> = {},
): Promise<Aligned> {
  const defaults = { position: null, hasSkipped: false, mayTakeAcks: () => true, signal: NEVER };
  const alignment = { connection, wanted, ...defaults, ...options, ...NO_LIMITS_KNOWN };
  return runRounds(alignment, alignOnce);
}

/**
 * Creates the consumer of a subscription that does not run yet, so that it misses nothing. Leaves an existing one alone. Not on
 * a work queue: that keeps its messages anyway, and a consumer would keep other subscriptions off them. Null: created nothing.
 * Throws as `alignConsumer` does.
 */
export async function makeConsumer(
  connection: Connection,
  wanted: ConsumerSettings,
  options: Partial<AlignOptions> = {},
): Promise<Aligned | null> {
  const { stream, consumer } = await takeSnapshot(connection, wanted);
  if (consumer !== null || stream.config.retention === "workqueue") return null;
  return alignConsumer(connection, wanted, options);
}

/** Takes a snapshot and acts on it, until a round succeeds. */
export async function runRounds(
  alignment: Alignment,
  act: (round: Round) => Promise<RoundResult>,
): Promise<Aligned> {
  const { connection, wanted, signal } = alignment;
  for (let rounds = 1; rounds <= MAX_ROUNDS; rounds += 1) {
    const snapshot = await takeSettledSnapshot(connection, wanted, signal);
    const { maxAckPending, ...fitted } = fitToStream(wanted, snapshot.stream);
    const settings = { ...fitted, maxAckPending: Math.min(maxAckPending, alignment.maxAckPending) };
    const position = await checkPosition(alignment, snapshot.stream);
    if (position?.continuity.kind === "cut" && mayStillCome(alignment, snapshot.stream)) {
      await waitForMirror(alignment, snapshot.stream);
      continue;
    }
    const result = await act({ alignment, snapshot, position, settings, isLast: rounds === MAX_ROUNDS });
    if (result.kind === "aligned") return result.aligned;
    await sleep(NEXT_ROUND_MS * rounds * (0.5 + Math.random()), signal);
  }
  throw refusal(wanted, "another client keeps changing it");
}

/** Whether the stream may still get the messages that it does not have: only a mirror does. */
function mayStillCome({ caughtUp }: Alignment, { created, mirror }: StreamInfo): boolean {
  return mirror !== undefined && caughtUp !== created;
}

async function waitForMirror(alignment: Alignment, { created }: StreamInfo): Promise<void> {
  const { connection, wanted, signal } = alignment;
  const { domain, stream } = wanted.source;
  if (!(await hasCaughtUp(connection, { domain, stream }, signal)))
    throw refusal(wanted, "the mirror has not caught up with its origin yet");
  alignment.caughtUp = created;
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

async function alignOnce(round: Round): Promise<RoundResult> {
  const { alignment, snapshot, position, settings } = round;
  const plan = planConsumer(snapshot, settings, { position, hasSkipped: alignment.hasSkipped });
  switch (plan.kind) {
    case "refuse":
      throw refusal(settings, plan.reason);
    case "keep":
      return aligned(round, plan.consumer, { change: "kept", notes: plan.notes });
    case "create": {
      const { start, notes, isKnown } = plan.planned;
      return make(round, { start, notes, change: isKnown ? "recreated" : "created" });
    }
    case "update":
      return update(round, plan);
    case "recreate":
      return remake(round, plan);
  }
}

export async function replace(
  round: Round,
  replacement: { consumer: ConsumerInfo; start: DeliverPolicy; fallback: DeliverPolicy },
  told: Pick<AlignedConsumer, "change" | "notes">,
): Promise<RoundResult> {
  const { alignment, snapshot, settings, isLast } = round;
  const { stream } = snapshot;
  const replaced = await replaceConsumer(alignment.connection, settings, { stream, ...replacement });
  switch (replaced.kind) {
    case "done":
      return aligned(round, replaced.consumer, told);
    case "overtaken":
      if (isLast) throw refusal(settings, "another client keeps changing it");
      return { kind: "retry" };
    case "refused":
      if (!isLast && hasLearned(alignment, settings, replaced.answer)) return { kind: "retry" };
      throw toError(settings, replaced.answer);
  }
}

/** True if the refusal named a limit: the next round asks for less. */
function hasLearned(alignment: Alignment, settings: ConsumerSettings, answer: ApiAnswer<unknown>): boolean {
  if (answer.kind !== "refused" || answer.code !== API_ERRORS.maxAckPendingTooHigh) return false;
  const limit = Number(/limit of (\d+)/.exec(answer.reason)?.[1] ?? 0);
  if (limit < 1 || limit >= settings.maxAckPending) return false;
  alignment.maxAckPending = limit;
  return true;
}

export async function make(
  round: Round,
  { start, ...told }: { start: Start; notes: readonly string[]; change: "created" | "recreated" },
): Promise<RoundResult> {
  const { alignment, settings, isLast } = round;
  const { connection } = alignment;
  const config = toConsumerConfig(settings, start);
  const answer = await requestPut(connection, { settings, config, action: "create" });
  if (answer.kind === "ok") {
    checkEcho(answer.value, settings);
    return aligned(round, answer.value, told);
  }
  const isOvertaken =
    hasLearned(alignment, settings, answer) ||
    wasOvertaken(answer) ||
    (await isPresent(connection, settings));
  if (!isOvertaken || isLast) throw toError(settings, answer);
  return { kind: "retry" };
}

async function update(round: Round, plan: Extract<ConsumerPlan, { kind: "update" }>): Promise<RoundResult> {
  const { alignment, settings, isLast } = round;
  const { connection } = alignment;
  const config = toUpdatedConfig(plan.consumer.config, settings);
  const answer = await requestPut(connection, { settings, config, action: "update" });
  if (answer.kind === "ok") {
    checkEcho(answer.value, settings);
    return aligned(round, answer.value, { change: "updated", notes: plan.notes });
  }
  const isOvertaken =
    hasLearned(alignment, settings, answer) ||
    wasOvertaken(answer) ||
    !(await isPresent(connection, settings));
  if (!isOvertaken || isLast) throw toError(settings, answer);
  return { kind: "retry" };
}

async function remake(round: Round, plan: Extract<ConsumerPlan, { kind: "recreate" }>): Promise<RoundResult> {
  const { alignment, settings } = round;
  // Asked once per alignment: a round that was overtaken has taken nothing.
  if (plan.takesAcks) alignment.takesAcks ??= alignment.mayTakeAcks();
  if (plan.takesAcks && alignment.takesAcks !== true) {
    throw refusal(settings, "another relay uses it with another quality of service");
  }
  const { start, notes } = plan.planned;
  const fallback = toPolicy(start, settings);
  const note = `Consumer ${settings.durable} was ${describeRecreation(plan)}`;
  return replace(
    round,
    { consumer: plan.consumer, start: fallback, fallback },
    { change: "recreated", notes: [note, ...notes] },
  );
}

function aligned(
  { snapshot: { stream }, position, settings }: Round,
  info: ConsumerInfo,
  { change, notes }: Pick<AlignedConsumer, "change" | "notes">,
): RoundResult {
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
      // For a start beyond the end of the stream, servers report everything before it as delivered.
      ackFloor: floor === null ? null : Math.min(floor, lastSequence),
      change,
      notes,
      settings,
    },
  };
}

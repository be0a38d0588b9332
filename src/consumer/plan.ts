// Plans what to do with the durable consumer of a subscription: keep, create, update, re-create, or refuse. PURE.

import { hasWildcard, isOverlapping } from "#delivery/subject.ts";

import type { ConsumerInfo, StreamInfo } from "#nats/answers.ts";
import { changedDeliverPolicy, type ConsumerSettings, filtersOf, type Start } from "./config.ts";
import { differences, FILTERS, fixedDifferences } from "./fields.ts";
import { floorOf } from "./info.ts";
import { planStart, type PlannedStart } from "./start.ts";
import type { Position } from "./position.ts";
import { takesSeveralFilters } from "#nats/stream.ts";

const NANOS_PER_SECOND = 1_000_000_000;
/** Clock skew inside a cluster: one server stamps the consumer, another one the messages. */
const CLOCK_SKEW_MS = 1000;

const SKIPPED = "it skipped messages while it had other filters";
const TAIL_LOST = "the stream lost messages, and it would skip new ones";

/** The stream, the consumer and its placeholder, as the server showed them. */
export interface Snapshot {
  readonly stream: StreamInfo;
  /** null: it does not exist. */
  readonly consumer: ConsumerInfo | null;
  /** Stands in while a relay re-creates the consumer; null: none does. */
  readonly placeholder: ConsumerInfo | null;
}

export type ConsumerPlan =
  /** The settings are impossible here. */
  | { readonly kind: "refuse"; readonly reason: string }
  | { readonly kind: "keep"; readonly consumer: ConsumerInfo; readonly notes: readonly string[] }
  | { readonly kind: "create"; readonly planned: PlannedStart }
  | {
      readonly kind: "update";
      readonly consumer: ConsumerInfo;
      /** The names of the fields that differ. */
      readonly fields: readonly string[];
      readonly notes: readonly string[];
    }
  /** JetStream cannot update it in place: delete it and create it after `sequence`, up to which it was done (null: unknown). */
  | {
      readonly kind: "recreate";
      readonly consumer: ConsumerInfo;
      readonly planned: PlannedStart;
      readonly sequence: number | null;
      /** Why, for people. */
      readonly reason: string;
      /** It has another ack policy, which another relay may want. */
      readonly takesAcks: boolean;
    };

/** For people: `re-created after sequence 7: …`. */
export function describeRecreation({
  sequence,
  reason,
}: Extract<ConsumerPlan, { kind: "recreate" }>): string {
  return sequence === null ? `re-created: ${reason}` : `re-created after sequence ${sequence}: ${reason}`;
}

/**
 * `position`: how far Relay knows the stream to be done; null: unknown. `hasSkipped`: somebody changed its filters while it was
 * pulled from, so the messages that it skipped must still come.
 */
export function planConsumer(
  { stream, consumer }: Pick<Snapshot, "stream" | "consumer">,
  settings: ConsumerSettings,
  { position, hasSkipped }: { position: Position | null; hasSkipped: boolean },
): ConsumerPlan {
  const reason = findForbidden(stream, settings);
  if (reason !== null) return { kind: "refuse", reason };
  if (consumer === null) {
    const planned = planStart(stream, settings, position);
    const notes = [...planned.notes, ...notesOfThreshold(settings)];
    return { kind: "create", planned: { ...planned, notes } };
  }
  if (consumer.config.deliver_subject !== undefined) {
    return { kind: "refuse", reason: "a push consumer has that name" };
  }
  const recreation = planRecreation({ stream, consumer }, settings, { position, hasSkipped });
  if (recreation !== null) return recreation;
  const notes = [...notesOf(consumer, settings), ...notesOfThreshold(settings)];
  const fields = differences(consumer.config, settings);
  return fields.length === 0
    ? { kind: "keep", consumer, notes }
    : { kind: "update", consumer, fields, notes };
}

/** null: it need not be re-created. */
function planRecreation(
  { stream, consumer }: { stream: StreamInfo; consumer: ConsumerInfo },
  settings: ConsumerSettings,
  { position, hasSkipped }: { position: Position | null; hasSkipped: boolean },
): Extract<ConsumerPlan, { kind: "recreate" }> | null {
  const floor = floorOf(consumer, stream.state.last_seq);
  const isAhead = hasSkipped && position !== null && differences(consumer.config, settings).includes(FILTERS);
  const takesAcks = fixedDifferences(consumer.config, settings).includes("acks");
  if (position !== null && isBeyondStream(position, floor)) {
    const planned = planStart(stream, settings, position);
    const sequence = planned.start.kind === "sequence" ? planned.start.sequence - 1 : null;
    return { kind: "recreate", consumer, planned, sequence, reason: TAIL_LOST, takesAcks };
  }
  const reason = isAhead ? SKIPPED : findObstacle({ stream, consumer }, settings);
  if (reason === null) return null;
  const told: Position = { streamCreated: stream.created, sequence: floor, continuity: { kind: "unknown" } };
  const known = (isAhead || told.sequence === null) && position !== null ? position : told;
  const planned = withoutLoss(planStart(stream, settings, known), consumer);
  return { kind: "recreate", consumer, planned, sequence: known.sequence, reason, takesAcks };
}

/** If nobody knows how far `consumer` was, do not start by its policy again: that could skip messages. */
function withoutLoss(planned: PlannedStart, consumer: ConsumerInfo): PlannedStart {
  return planned.start.kind === "policy"
    ? { ...planned, start: earliestStartOf(consumer, null), notes: [] }
    : planned;
}

/** The earliest start that delivers everything `consumer` has not seen acknowledged; it may repeat messages. */
export function earliestStartOf(
  consumer: ConsumerInfo,
  floor: number | null,
): Exclude<Start, { kind: "policy" }> {
  if (floor !== null) return { kind: "sequence", sequence: floor + 1 };
  const { config, delivered, created } = consumer;
  if (config.opt_start_time !== undefined) {
    return { kind: "at", policy: { kind: "start-time", time: new Date(config.opt_start_time) } };
  }
  // Its first delivery tells where it started.
  if (delivered.consumer_seq === 1) return { kind: "sequence", sequence: delivered.stream_seq };
  const time = new Date(Date.parse(created) - CLOCK_SKEW_MS);
  return { kind: "at", policy: { kind: "start-time", time } };
}

/**
 * The stream lost its tail, and the consumer still stands beyond the new end: servers before 2.11 do not deliver new messages
 * below that position. A consumer that went back with its stream needs nothing.
 */
function isBeyondStream({ continuity, sequence }: Position, floor: number | null): boolean {
  if (continuity.kind !== "cut" || sequence === null || floor === null) return false;
  return floor >= sequence && floor > continuity.sequence;
}

/** Why JetStream cannot update the consumer in place; null: it can. */
function findObstacle(
  { stream, consumer: { config } }: { stream: StreamInfo; consumer: ConsumerInfo },
  settings: ConsumerSettings,
): string | null {
  const fixed = fixedDifferences(config, settings);
  if (fixed.length > 0) return `${fixed.join(", ")} cannot be changed in place`;
  const gainsWildcard =
    settings.source.filterSubjects.some(hasWildcard) && !filtersOf(config).some(hasWildcard);
  // Such a server compares subjects literally, and the consumer skips every message.
  return gainsWildcard && !takesSeveralFilters(stream)
    ? "nats-server before 2.10 cannot add a wildcard in place"
    : null;
}

function notesOfThreshold({ durable, source, inactiveThreshold = 0 }: ConsumerSettings): readonly string[] {
  if (inactiveThreshold === 0) return [];
  const limit = `consumers that nobody pulls from for ${inactiveThreshold / NANOS_PER_SECOND} s`;
  return [
    `Stream ${source.stream} deletes ${limit} (consumer_limits): Relay then re-creates ${durable} at its position`,
  ];
}

function notesOf(consumer: ConsumerInfo, settings: ConsumerSettings): readonly string[] {
  const before = changedDeliverPolicy(consumer.config, settings);
  if (before === null) return [];
  return [`deliverPolicy affects new consumers only: ${settings.durable} was created with ${before}`];
}

/** Settings that servers refuse with an unhelpful message, or accept and then deliver nothing. */
export function findForbidden(stream: StreamInfo, settings: ConsumerSettings): string | null {
  const { filterSubjects } = settings.source;
  if (new Set(filterSubjects).size > 1 && !takesSeveralFilters(stream)) {
    return "several filter subjects need nats-server 2.10 or newer";
  }
  if (!settings.acks && stream.config.retention === "workqueue") {
    return "a work queue needs acks, so its quality of service cannot be NONE";
  }
  const { inactiveThreshold = 0 } = settings;
  if (inactiveThreshold > 0 && stream.config.retention === "interest") {
    const seconds = inactiveThreshold / NANOS_PER_SECOND;
    return `the stream deletes consumers that nobody pulls from for ${seconds} s (consumer_limits), and with them the messages that wait`;
  }
  const { subjects, mirror, sources, subject_transform: transform } = stream.config;
  if (mirror !== undefined || sources !== undefined || transform !== undefined) return null;
  const foreign = filterSubjects.find(
    (filter) => !subjects.some((subject) => isOverlapping(filter, subject)),
  );
  return foreign === undefined
    ? null
    : `the stream has no subject ${foreign} (it has ${subjects.join(", ")})`;
}

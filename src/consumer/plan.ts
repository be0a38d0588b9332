// What is to be done about the durable consumer of a subscription, given what there is. Pure.

import { hasWildcard, isOverlapping } from "#delivery/subject.ts";

import type { ConsumerInfo, StreamInfo } from "#nats/answers.ts";
import { changedDeliverPolicy, type ConsumerSettings, filtersOf, type Start } from "./config.ts";
import { differences, FILTERS, fixedDifferences } from "./fields.ts";
import { floorOf } from "./info.ts";
import { planStart, type PlannedStart } from "./start.ts";
import type { Position } from "./position.ts";
import { takesSeveralFilters } from "#nats/stream.ts";

const NANOS_PER_SECOND = 1_000_000_000;
/** Those of two servers of a cluster: one stamps a consumer, another one its messages. */
const CLOCKS_APART_MS = 1000;

const SKIPPED = "with other filters it passed over messages";
const TAIL_LOST = "the stream lost messages, and it would pass over new ones";

/** What the server showed. */
export interface Sight {
  readonly stream: StreamInfo;
  /** null: the stream has none of that name. */
  readonly consumer: ConsumerInfo | null;
  /** Stands in for it while some relay makes it anew; null: none does. */
  readonly placeholder: ConsumerInfo | null;
}

export type ConsumerPlan =
  /** It cannot be as asked for. */
  | { readonly kind: "refuse"; readonly reason: string }
  | { readonly kind: "keep"; readonly consumer: ConsumerInfo; readonly notes: readonly string[] }
  | { readonly kind: "create"; readonly planned: PlannedStart }
  | {
      readonly kind: "update";
      readonly consumer: ConsumerInfo;
      /** What differs, in words. */
      readonly fields: readonly string[];
      readonly notes: readonly string[];
    }
  /** It cannot be changed in place: it is deleted, and made anew after `sequence`, up to which it was done; null: not known. */
  | {
      readonly kind: "recreate";
      readonly consumer: ConsumerInfo;
      readonly planned: PlannedStart;
      readonly sequence: number | null;
      /** Why, for people. */
      readonly reason: string;
      /** It has other acks: somebody else may want them so. */
      readonly takesAcks: boolean;
    };

/** In words, after "made". */
export function describeRecreation({
  sequence,
  reason,
}: Extract<ConsumerPlan, { kind: "recreate" }>): string {
  return sequence === null ? `anew: ${reason}` : `anew after sequence ${sequence}: ${reason}`;
}

/**
 * `position` is what Relay itself knows to be done; null: nothing. `hasSkipped`: somebody gave it other filters while it was
 * pulled from, so that what it passed over since then is still to come.
 */
export function planConsumer(
  { stream, consumer }: Pick<Sight, "stream" | "consumer">,
  settings: ConsumerSettings,
  { position, hasSkipped }: { position: Position | null; hasSkipped: boolean },
): ConsumerPlan {
  const reason = findForbidden(stream, settings);
  if (reason !== null) return { kind: "refuse", reason };
  if (position?.continuity.kind === "cut" && isCatchingUp(stream)) {
    return { kind: "refuse", reason: "the mirror has not caught up with its origin yet" };
  }
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

/** null: it need not be made anew. */
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

/** Where nothing tells how far `consumer` was, it is not started by its policy again, which would leave out what it had. */
function withoutLoss(planned: PlannedStart, consumer: ConsumerInfo): PlannedStart {
  return planned.start.kind === "policy"
    ? { ...planned, start: placeOf(consumer, null), notes: [] }
    : planned;
}

/** Where `consumer` would have to start to deliver all that it has not seen done: sooner rather than later. */
export function placeOf(consumer: ConsumerInfo, floor: number | null): Exclude<Start, { kind: "policy" }> {
  if (floor !== null) return { kind: "sequence", sequence: floor + 1 };
  const { config, delivered, created } = consumer;
  if (config.opt_start_time !== undefined) {
    return { kind: "at", policy: { kind: "start-time", time: new Date(config.opt_start_time) } };
  }
  // The first one that it delivered is where it started.
  if (delivered.consumer_seq === 1) return { kind: "sequence", sequence: delivered.stream_seq };
  const time = new Date(Date.parse(created) - CLOCKS_APART_MS);
  return { kind: "at", policy: { kind: "start-time", time } };
}

/**
 * The stream has lost its tail, and its consumer still stands where that was: servers before 2.11 deliver nothing that is
 * published up to there. One that went back with its stream goes on by itself.
 */
function isBeyondStream({ continuity, sequence }: Position, floor: number | null): boolean {
  if (continuity.kind !== "cut" || sequence === null || floor === null) return false;
  return floor >= sequence && floor > continuity.sequence;
}

/** It has less than its origin, or has not heard of it yet. */
function isCatchingUp({ mirror }: StreamInfo): boolean {
  return mirror !== undefined && (mirror.lag > 0 || mirror.active < 0);
}

/** What keeps a consumer from being changed in place; null: nothing. */
function findObstacle(
  { stream, consumer: { config } }: { stream: StreamInfo; consumer: ConsumerInfo },
  settings: ConsumerSettings,
): string | null {
  const fixed = fixedDifferences(config, settings);
  if (fixed.length > 0) return `${fixed.join(", ")} cannot be changed in place`;
  const gainsWildcard =
    settings.source.filterSubjects.some(hasWildcard) && !filtersOf(config).some(hasWildcard);
  // Such a server goes on comparing letter by letter, and passes over all that comes.
  return gainsWildcard && !takesSeveralFilters(stream)
    ? "nats-server before 2.10 takes over no wildcard in place"
    : null;
}

function notesOfThreshold({ durable, source, inactiveThreshold = 0 }: ConsumerSettings): readonly string[] {
  if (inactiveThreshold === 0) return [];
  const limit = `consumers that nobody pulls from for ${inactiveThreshold / NANOS_PER_SECOND} s`;
  return [
    `Stream ${source.stream} deletes ${limit} (consumer_limits): ${durable} is then made again where it was`,
  ];
}

function notesOf(consumer: ConsumerInfo, settings: ConsumerSettings): readonly string[] {
  const before = changedDeliverPolicy(consumer.config, settings);
  if (before === null) return [];
  return [`deliverPolicy affects new consumers only: ${settings.durable} was made with ${before}`];
}

/** What servers refuse in words that do not help, or accept and then deliver nothing: a filter that matches nothing. */
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

// What is to be done about the durable consumer of a subscription, given what there is. Pure.

import { hasWildcard, isOverlapping } from "#delivery/subject.ts";

import type { ConsumerInfo, StreamInfo } from "./answers.ts";
import {
  changedDeliverPolicy,
  type ConsumerSettings,
  differences,
  filtersOf,
  hasRightAckPolicy,
} from "./consumer-config.ts";
import { floorOf } from "./consumer-info.ts";
import { planStart, type PlannedStart } from "./consumer-start.ts";
import type { Position } from "./position.ts";
import { takesSeveralFilters } from "./stream.ts";

/** What the server showed. */
export interface Sight {
  readonly stream: StreamInfo;
  /** null: the stream has none of that name. */
  readonly consumer: ConsumerInfo | null;
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

/** `position` is what Relay itself knows to be done; null: nothing. */
export function planConsumer(
  { stream, consumer }: Sight,
  settings: ConsumerSettings,
  position: Position | null,
): ConsumerPlan {
  const reason = findForbidden(stream, settings);
  if (reason !== null) return { kind: "refuse", reason };
  if (position?.continuity.kind === "cut" && isCatchingUp(stream)) {
    return { kind: "refuse", reason: "the mirror has not caught up with its origin yet" };
  }
  if (consumer === null) return { kind: "create", planned: planStart(stream, settings, position) };
  if (consumer.config.deliver_subject !== undefined) {
    return { kind: "refuse", reason: "a push consumer has that name" };
  }
  const floor = floorOf(consumer, stream.state.last_seq);
  if (position !== null && isAhead(position, floor)) {
    const planned = planStart(stream, settings, position);
    return {
      kind: "recreate",
      planned,
      sequence: planned.start.kind === "sequence" ? planned.start.sequence - 1 : null,
      reason: "the stream lost messages, and it would pass over new ones",
      takesAcks: false,
    };
  }
  const obstacle = findObstacle({ stream, consumer }, settings);
  if (obstacle !== null) {
    const told: Position = {
      streamCreated: stream.created,
      sequence: floor,
      continuity: { kind: "unknown" },
    };
    const known = told.sequence === null && position !== null ? position : told;
    const planned = planStart(stream, settings, known);
    const takesAcks = !hasRightAckPolicy(consumer.config, settings);
    return { kind: "recreate", planned, sequence: known.sequence, reason: obstacle, takesAcks };
  }
  const notes = notesOf(consumer, settings);
  const fields = differences(consumer.config, settings);
  return fields.length === 0
    ? { kind: "keep", consumer, notes }
    : { kind: "update", consumer, fields, notes };
}

/**
 * The stream has lost its tail, and its consumer still stands where that was: servers before 2.11 deliver nothing that is
 * published up to there. One that went back with its stream goes on by itself.
 */
function isAhead({ continuity, sequence }: Position, floor: number | null): boolean {
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
  if (!hasRightAckPolicy(config, settings)) return "acks cannot be changed in place";
  const gainsWildcard =
    settings.source.filterSubjects.some(hasWildcard) && !filtersOf(config).some(hasWildcard);
  // Such a server goes on comparing letter by letter, and passes over all that comes.
  return gainsWildcard && !takesSeveralFilters(stream)
    ? "nats-server before 2.10 takes over no wildcard in place"
    : null;
}

function notesOf(consumer: ConsumerInfo, settings: ConsumerSettings): readonly string[] {
  const before = changedDeliverPolicy(consumer.config, settings);
  if (before === null) return [];
  return [`deliverPolicy affects new consumers only: ${settings.durable} was made with ${before}`];
}

/** What servers refuse in words that do not help, or accept and then deliver nothing: a filter that matches nothing. */
function findForbidden(stream: StreamInfo, settings: ConsumerSettings): string | null {
  const { filterSubjects } = settings.source;
  if (new Set(filterSubjects).size > 1 && !takesSeveralFilters(stream)) {
    return "several filter subjects need nats-server 2.10 or newer";
  }
  if (!settings.acks && stream.config.retention === "workqueue") {
    return "a work queue needs acks, so its quality of service cannot be NONE";
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

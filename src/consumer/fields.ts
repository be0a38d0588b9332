// How far a durable consumer is from what its subscription asks for, field by field. Pure.
//
// Compared is each field that changes which messages come, what of them comes, or when. Not compared, and kept: description,
// metadata, sampling, replicas, and the pause of an operator.

import type { ConsumerConfig } from "@nats-io/jetstream";

import { type ConsumerSettings, filtersOf, NANOS_PER_MS, wantedFilters } from "./config.ts";

/** What servers take where nothing is asked for: so many pulls can wait at once, of all relays together. */
const MAX_WAITING = 512;
/** While it has other filters a consumer passes over messages, for good. */
export const FILTERS = "filter subjects";

interface Field {
  readonly name: string;
  readonly isRight: (actual: ConsumerConfig, settings: ConsumerSettings) => boolean;
  /** Though it is not right, nothing is lost or repeated by it. */
  readonly isHarmless?: (actual: ConsumerConfig, settings: ConsumerSettings) => boolean;
}

/** Those that JetStream changes in place. The others of a consumer change neither which messages come nor when. */
const FIELDS: readonly Field[] = [
  {
    name: FILTERS,
    isRight: (actual, { source }) =>
      filtersOf(actual).join(" ") === wantedFilters(source.filterSubjects).join(" "),
  },
  {
    name: "ack wait",
    isRight: (actual, { acks, source }) => !acks || actual.ack_wait === source.ackWaitMs * NANOS_PER_MS,
    isHarmless: (actual, { source }) => (actual.ack_wait ?? 0) > source.ackWaitMs * NANOS_PER_MS,
  },
  {
    name: "max ack pending",
    isRight: (actual, { acks, maxAckPending }) => !acks || actual.max_ack_pending === maxAckPending,
    isHarmless: (actual, { maxAckPending }) =>
      maxAckPending > 1 || (actual.max_ack_pending ?? -1) === maxAckPending,
  },
  { name: "max deliver", isRight: ({ max_deliver: times = -1 }) => times <= 0 },
  { name: "backoff", isRight: ({ backoff = [] }) => backoff.length === 0 },
  {
    name: "inactive threshold",
    isRight: ({ inactive_threshold: actual = 0 }, { inactiveThreshold: wanted = 0 }) => actual === wanted,
  },
  { name: "headers only", isRight: ({ headers_only: isSet }) => isSet !== true },
  { name: "max batch", isRight: ({ max_batch: most = 0 }) => most <= 0 },
  { name: "max expires", isRight: ({ max_expires: longest = 0 }) => longest <= 0 },
  { name: "max bytes", isRight: ({ max_bytes: most = 0 }) => most <= 0 },
  { name: "priority groups", isRight: ({ priority_groups: groups = [] }) => groups.length === 0 },
];

/** Those that no JetStream changes in place. */
const FIXED_FIELDS: readonly Field[] = [
  { name: "acks", isRight: (actual, { acks }) => actual.ack_policy === (acks ? "explicit" : "none") },
  { name: "replay policy", isRight: ({ replay_policy: policy }) => policy === "instant" },
  { name: "memory storage", isRight: ({ mem_storage: isSet }) => isSet !== true },
  { name: "max waiting", isRight: ({ max_waiting: most = MAX_WAITING }) => most >= MAX_WAITING },
];

/** The names of the fields that are not as asked for, and that can be changed in place; empty: nothing to do. */
export function differences(actual: ConsumerConfig, settings: ConsumerSettings): readonly string[] {
  return namesOf(FIELDS, (field) => !field.isRight(actual, settings));
}

/** The names of those for which the consumer has to be made anew. */
export function fixedDifferences(actual: ConsumerConfig, settings: ConsumerSettings): readonly string[] {
  return namesOf(FIXED_FIELDS, (field) => !field.isRight(actual, settings));
}

/**
 * What a running subscription cannot bear of it, for people; null: nothing. Two relays of which one wants less do not put it
 * right in turns: what is less than wanted loses and repeats nothing.
 */
export function findDisturbance(actual: ConsumerConfig, settings: ConsumerSettings): string | null {
  const names = namesOf(
    [...FIXED_FIELDS, ...FIELDS],
    (field) => !field.isRight(actual, settings) && field.isHarmless?.(actual, settings) !== true,
  );
  if (names.includes("acks")) return `it was made anew ${settings.acks ? "without" : "with"} acks`;
  return names.length === 0 ? null : `somebody changed its ${names.join(", ")}`;
}

function namesOf(fields: readonly Field[], isMeant: (field: Field) => boolean): readonly string[] {
  return fields.filter(isMeant).map(({ name }) => name);
}

// Compares a durable consumer with the settings of its subscription, field by field. PURE.
//
// Compares each field that changes which messages come, what they contain, or when. Ignores and keeps description, metadata,
// sampling, replicas, and an operator's pause.

import type { ConsumerConfig } from "@nats-io/jetstream";

import { type ConsumerSettings, filtersOf, NANOS_PER_MS, wantedFilters } from "./config.ts";

/** The servers' default: pulls that can wait at once, of all relays together. */
const MAX_WAITING = 512;
/** With other filters a consumer skips messages for good. */
export const FILTERS = "filter subjects";

interface Field {
  readonly name: string;
  readonly isRight: (actual: ConsumerConfig, settings: ConsumerSettings) => boolean;
  /** True if the wrong value loses and repeats nothing. */
  readonly isHarmless?: (actual: ConsumerConfig, settings: ConsumerSettings) => boolean;
}

/** Fields that JetStream updates in place. */
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

/** Fields that no JetStream updates in place. */
const FIXED_FIELDS: readonly Field[] = [
  { name: "acks", isRight: (actual, { acks }) => actual.ack_policy === (acks ? "explicit" : "none") },
  { name: "replay policy", isRight: ({ replay_policy: policy }) => policy === "instant" },
  { name: "memory storage", isRight: ({ mem_storage: isSet }) => isSet !== true },
  { name: "max waiting", isRight: ({ max_waiting: most = MAX_WAITING }) => most >= MAX_WAITING },
];

/** Names of the wrong fields that can be updated in place; empty: none. */
export function differences(actual: ConsumerConfig, settings: ConsumerSettings): readonly string[] {
  return namesOf(FIELDS, (field) => !field.isRight(actual, settings));
}

/** Names of the wrong fields for which the consumer has to be re-created. */
export function fixedDifferences(actual: ConsumerConfig, settings: ConsumerSettings): readonly string[] {
  return namesOf(FIXED_FIELDS, (field) => !field.isRight(actual, settings));
}

/**
 * Why a running subscription has to align its consumer again, for people; null: it need not. Harmless differences do not count,
 * so that two relays with different settings do not keep overwriting each other's.
 */
export function findDisturbance(actual: ConsumerConfig, settings: ConsumerSettings): string | null {
  const names = namesOf(
    [...FIXED_FIELDS, ...FIELDS],
    (field) => !field.isRight(actual, settings) && field.isHarmless?.(actual, settings) !== true,
  );
  if (names.includes("acks")) return `it was re-created ${settings.acks ? "without" : "with"} acks`;
  return names.length === 0 ? null : `somebody changed its ${names.join(", ")}`;
}

function namesOf(fields: readonly Field[], isMeant: (field: Field) => boolean): readonly string[] {
  return fields.filter(isMeant).map(({ name }) => name);
}

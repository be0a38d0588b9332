// The JetStream config of a subscription's durable consumer: from settings to ConsumerConfig, and back. PURE.

import type { ConsumerConfig } from "@nats-io/jetstream";

import {
  type DeliverPolicy,
  durableName,
  isOrdered,
  type Source,
  type Subscription,
} from "#delivery/subscription.ts";

import { mostOut, STRICT } from "#delivery/ordering.ts";
import type { StreamInfo } from "#nats/answers.ts";

export interface ConsumerSettings {
  readonly durable: string;
  readonly source: Source;
  /** False: a delivered message counts as done and never comes twice. */
  readonly acks: boolean;
  readonly maxAckPending: number;
  /** Nanoseconds. The stream's limit, which servers set on each of its consumers. Absent: no limit. */
  readonly inactiveThreshold?: number;
}

/** Where a new consumer starts. */
export type Start =
  | { readonly kind: "policy" }
  | { readonly kind: "sequence"; readonly sequence: number }
  | { readonly kind: "at"; readonly policy: DeliverPolicy }
  /** At the first message that the stream still has: a work queue deletes done ones. */
  | { readonly kind: "remaining" };

export type WantedConfig = Partial<ConsumerConfig>;

export const NANOS_PER_MS = 1_000_000;
const MADE_WITH = /\(deliver policy: (.+)\)$/;
/** For all relays of the subscription together; each relay limits what it holds itself. */
const UNORDERED_MAX_ACK_PENDING = 1000;

/**
 * The consumer settings that a subscription needs. `isOneByOne`: an ordered one of which nobody says which relay has it: the
 * server keeps its order, one message at a time.
 */
export function toConsumerSettings(
  { id, source, qos, ordering }: Subscription,
  { isOneByOne = false } = {},
): ConsumerSettings {
  const ordered = isOneByOne || qos === "AT_MOST_ONCE" ? 1 : mostOut(ordering ?? STRICT);
  return {
    durable: durableName(id),
    source,
    acks: qos !== "NONE",
    maxAckPending: isOrdered(qos) ? ordered : UNORDERED_MAX_ACK_PENDING,
  };
}

/** Domain, stream and name of the consumer. */
export function refOf({ source: { domain, stream }, durable }: ConsumerSettings) {
  return { domain, stream, durable };
}

/** Applies the stream's consumer limits. */
export function fitToStream(
  settings: ConsumerSettings,
  { config: { consumer_limits: limits } }: StreamInfo,
): ConsumerSettings {
  const highest = limits?.max_ack_pending ?? 0;
  return {
    ...settings,
    maxAckPending: highest > 0 ? Math.min(settings.maxAckPending, highest) : settings.maxAckPending,
    inactiveThreshold: limits?.inactive_threshold ?? 0,
  };
}

export function toConsumerConfig(settings: ConsumerSettings, start: Start): WantedConfig {
  return {
    durable_name: settings.durable,
    name: settings.durable,
    description: `Relay subscription (deliver policy: ${describePolicy(settings.source.deliverPolicy)})`,
    replay_policy: "instant",
    max_deliver: -1,
    num_replicas: 0,
    ...toFilters(settings.source.filterSubjects),
    ...toAcks(settings),
    ...toStart(start, settings.source.deliverPolicy),
  };
}

/** Fields that operators may set and that survive a re-creation: they change no message. */
export function keptOf(existing: ConsumerConfig): WantedConfig {
  const { sample_freq: sampling, num_replicas: replicas, metadata, pause_until: pausedUntil } = existing;
  return {
    ...(replicas === undefined ? {} : { num_replicas: replicas }),
    ...(sampling === undefined ? {} : { sample_freq: sampling }),
    ...(metadata === undefined ? {} : { metadata: withoutServerKeys(metadata) }),
    ...(pausedUntil === undefined ? {} : { pause_until: pausedUntil }),
  };
}

function withoutServerKeys(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !key.startsWith("_nats.")));
}

/** The config of a new consumer that starts at `start`. */
export function toMovedConfig(settings: ConsumerSettings, start: DeliverPolicy): WantedConfig {
  return toConsumerConfig(settings, { kind: "at", policy: start });
}

/** `start` as a deliver policy. */
export function toPolicy(start: Start, { source }: ConsumerSettings): DeliverPolicy {
  switch (start.kind) {
    case "policy":
      return source.deliverPolicy;
    case "remaining":
      return { kind: "all" };
    case "sequence":
      return { kind: "start-sequence", sequence: start.sequence };
    case "at":
      return start.policy;
  }
}

/** The existing config with Relay's fields set, as far as JetStream can update them in place. */
export function toUpdatedConfig(existing: ConsumerConfig, settings: ConsumerSettings): ConsumerConfig {
  const {
    filter_subject: _filter,
    filter_subjects: _filters,
    backoff: _backoff,
    inactive_threshold: _threshold,
    headers_only: _headersOnly,
    max_batch: _maxBatch,
    max_expires: _maxExpires,
    max_bytes: _maxBytes,
    priority_groups: _groups,
    priority_policy: _policy,
    priority_timeout: _timeout,
    ...kept
  } = existing;
  return {
    ...kept,
    max_deliver: -1,
    ...toFilters(settings.source.filterSubjects),
    ...(settings.acks ? toAcks(settings) : {}),
  };
}

/**
 * The deliver policy that `actual` was created with, if it differs from the wanted one; null: the same, or unknown.
 * A re-created consumer starts at a sequence, so its description carries the original policy.
 */
export function changedDeliverPolicy(actual: ConsumerConfig, settings: ConsumerSettings): string | null {
  const madeWith = MADE_WITH.exec(actual.description ?? "")?.[1] ?? null;
  return madeWith === null || madeWith === describePolicy(settings.source.deliverPolicy) ? null : madeWith;
}

export function describePolicy(policy: DeliverPolicy): string {
  switch (policy.kind) {
    case "all":
    case "new":
    case "last":
      return policy.kind;
    case "start-sequence":
      return `start sequence ${policy.sequence}`;
    case "start-time":
      return `start time ${policy.time.toISOString()}`;
  }
}

/** Reverses `describePolicy`; null: another text. */
export function parsePolicy(text: string): DeliverPolicy | null {
  if (text === "all" || text === "new" || text === "last") return { kind: text };
  const [, kind, value = ""] = /^start (sequence|time) (\S+)$/.exec(text) ?? [];
  const sequence = Number(value);
  if (kind === "sequence") return sequence > 0 ? { kind: "start-sequence", sequence } : null;
  const time = new Date(value);
  return kind === "time" && Number.isFinite(time.getTime()) ? { kind: "start-time", time } : null;
}

function toAcks({ acks, source, maxAckPending }: ConsumerSettings): WantedConfig {
  if (!acks) return { ack_policy: "none" };
  return {
    ack_policy: "explicit",
    ack_wait: source.ackWaitMs * NANOS_PER_MS,
    max_ack_pending: maxAckPending,
  };
}

function toFilters(subjects: readonly string[]): WantedConfig {
  const [first, ...others] = wantedFilters(subjects);
  if (first === undefined) return {};
  return others.length === 0 ? { filter_subject: first } : { filter_subjects: [first, ...others] };
}

/** Sorted, without duplicates; empty if one of them is `>`, which means all. */
export function wantedFilters(subjects: readonly string[]): readonly string[] {
  return subjects.includes(">") ? [] : [...new Set(subjects)].sort();
}

/** The filters of an existing consumer, in the order of `wantedFilters`; empty: all. */
export function filtersOf(config: ConsumerConfig): readonly string[] {
  const single = config.filter_subject ?? "";
  return wantedFilters([...(single === "" ? [] : [single]), ...(config.filter_subjects ?? [])]);
}

export function toStart(start: Start, policy: DeliverPolicy): WantedConfig {
  if (start.kind === "remaining") return { deliver_policy: "all" };
  if (start.kind === "sequence") {
    return { deliver_policy: "by_start_sequence", opt_start_seq: start.sequence };
  }
  if (start.kind === "at") return toStart({ kind: "policy" }, start.policy);
  switch (policy.kind) {
    case "all":
    case "new":
    case "last":
      return { deliver_policy: policy.kind };
    case "start-sequence":
      return { deliver_policy: "by_start_sequence", opt_start_seq: policy.sequence };
    case "start-time":
      return { deliver_policy: "by_start_time", opt_start_time: policy.time.toISOString() };
  }
}

// What the durable consumer of a subscription must look like, and how far an existing one is from it. Pure.

import type { ConsumerConfig } from "@nats-io/jetstream";

import {
  type DeliverPolicy,
  durableName,
  isOrdered,
  type Source,
  type Subscription,
} from "#delivery/subscription.ts";

export interface ConsumerSettings {
  readonly durable: string;
  readonly source: Source;
  /** False: what is delivered counts as done, and nothing comes twice. */
  readonly acks: boolean;
  readonly maxAckPending: number;
}

/** Where a consumer that is made starts. */
export type Start =
  | { readonly kind: "policy" }
  | { readonly kind: "sequence"; readonly sequence: number }
  /** Whatever the stream still holds: a work queue, whose done messages are gone. */
  | { readonly kind: "remaining" };

export type WantedConfig = Partial<ConsumerConfig>;

const NANOS_PER_MS = 1_000_000;
const MADE_WITH = /\(deliver policy: (.+)\)$/;
/** Shared by all relays of the subscription: each bounds itself to what it may hold. */
const UNORDERED_MAX_ACK_PENDING = 1000;

/** What a subscription asks of its consumer. */
export function toConsumerSettings({ id, source, qos }: Subscription): ConsumerSettings {
  return {
    durable: durableName(id),
    source,
    acks: qos !== "NONE",
    maxAckPending: isOrdered(qos) ? 1 : UNORDERED_MAX_ACK_PENDING,
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

/** As it was made at first, but for where it starts. */
export function toMovedConfig(settings: ConsumerSettings, start: DeliverPolicy): WantedConfig {
  const { description } = toConsumerConfig(settings, { kind: "policy" });
  const moved = { ...settings, source: { ...settings.source, deliverPolicy: start } };
  return {
    ...toConsumerConfig(moved, { kind: "policy" }),
    ...(description === undefined ? {} : { description }),
  };
}

/** The existing config with everything changed that is Relay's to say and that JetStream can change in place. */
export function toUpdatedConfig(existing: ConsumerConfig, settings: ConsumerSettings): ConsumerConfig {
  const {
    filter_subject: _filter,
    filter_subjects: _filters,
    backoff: _backoff,
    inactive_threshold: _threshold,
    ...kept
  } = existing;
  return {
    ...kept,
    max_deliver: -1,
    ...toFilters(settings.source.filterSubjects),
    ...(settings.acks ? toAcks(settings) : {}),
  };
}

/** The names of the fields in which `actual` is not what was asked for; empty: nothing to do. */
export function differences(actual: ConsumerConfig, settings: ConsumerSettings): readonly string[] {
  const different: string[] = [];
  if (filtersOf(actual).join(" ") !== wantedFilters(settings.source.filterSubjects).join(" ")) {
    different.push("filter subjects");
  }
  if (settings.acks && actual.ack_wait !== settings.source.ackWaitMs * NANOS_PER_MS)
    different.push("ack wait");
  if (settings.acks && actual.max_ack_pending !== settings.maxAckPending) different.push("max ack pending");
  if ((actual.max_deliver ?? -1) !== -1) different.push("max deliver");
  if ((actual.backoff?.length ?? 0) > 0) different.push("backoff");
  if ((actual.inactive_threshold ?? 0) > 0) different.push("inactive threshold");
  return different;
}

export function hasRightAckPolicy(actual: ConsumerConfig, settings: ConsumerSettings): boolean {
  return actual.ack_policy === (settings.acks ? "explicit" : "none");
}

/**
 * The deliver policy that `actual` was made with, if that is another than now wanted; null: the same, or not known.
 * One that was re-created starts at a sequence, so what it was first made with is in its description.
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

/** In one order, each once; `>` among them means all. */
function wantedFilters(subjects: readonly string[]): readonly string[] {
  return subjects.includes(">") ? [] : [...new Set(subjects)].sort();
}

/** Of a consumer that is there, in the order of `wantedFilters`; empty: all. */
export function filtersOf(config: ConsumerConfig): readonly string[] {
  const single = config.filter_subject ?? "";
  return wantedFilters([...(single === "" ? [] : [single]), ...(config.filter_subjects ?? [])]);
}

function toStart(start: Start, policy: DeliverPolicy): WantedConfig {
  if (start.kind === "remaining") return { deliver_policy: "all" };
  if (start.kind === "sequence") {
    return { deliver_policy: "by_start_sequence", opt_start_seq: start.sequence };
  }
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

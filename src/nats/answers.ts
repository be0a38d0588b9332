// Schemas of JetStream API answers: the fields that Relay reads. Any client of the account can forge such an answer.

import type { ConsumerConfig } from "@nats-io/jetstream";
import * as v from "valibot";

/** Sequences and counts that Relay compares or calculates with. */
const SEQUENCE = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** Only shown: a server that counts below 0 writes a value just below 2^64. */
const COUNT = v.pipe(v.number(), v.finite());
/** -1 or 0: no limit. */
const LIMIT = v.pipe(v.number(), v.finite());
/** RFC 3339. */
const TIME = v.pipe(
  v.string(),
  v.check((text) => !Number.isNaN(Date.parse(text)), "Invalid time"),
);
const SUBJECTS = v.array(v.string());

/** With the library's field names. Fields that are not listed here are unchecked: do not read them. */
const consumerConfig = v.pipe(
  v.looseObject({
    ack_policy: v.string(),
    ack_wait: v.optional(LIMIT),
    backoff: v.optional(v.array(LIMIT)),
    deliver_group: v.optional(v.string()),
    deliver_policy: v.string(),
    deliver_subject: v.optional(v.string()),
    description: v.optional(v.string()),
    durable_name: v.optional(v.string()),
    filter_subject: v.optional(v.string()),
    filter_subjects: v.optional(SUBJECTS),
    flow_control: v.optional(v.boolean()),
    headers_only: v.optional(v.boolean()),
    idle_heartbeat: v.optional(LIMIT),
    inactive_threshold: v.optional(LIMIT),
    max_ack_pending: v.optional(LIMIT),
    max_batch: v.optional(LIMIT),
    max_bytes: v.optional(LIMIT),
    max_deliver: v.optional(LIMIT),
    max_expires: v.optional(LIMIT),
    max_waiting: v.optional(LIMIT),
    mem_storage: v.optional(v.boolean()),
    metadata: v.optional(v.record(v.string(), v.string())),
    name: v.optional(v.string()),
    num_replicas: v.optional(LIMIT),
    opt_start_seq: v.optional(SEQUENCE),
    opt_start_time: v.optional(TIME),
    pause_until: v.optional(TIME),
    priority_groups: v.optional(v.array(v.string())),
    priority_policy: v.optional(v.string()),
    priority_timeout: v.optional(LIMIT),
    rate_limit_bps: v.optional(LIMIT),
    replay_policy: v.optional(v.string()),
    sample_freq: v.optional(v.string()),
  }),
  v.transform((config) => config as ConsumerConfig),
);

const sequenceInfo = v.object({
  consumer_seq: SEQUENCE,
  stream_seq: SEQUENCE,
  last_active: v.optional(v.string()),
});

export const consumerInfo = v.object({
  name: v.string(),
  created: TIME,
  config: consumerConfig,
  delivered: sequenceInfo,
  ack_floor: sequenceInfo,
  num_ack_pending: COUNT,
  num_redelivered: COUNT,
  num_waiting: COUNT,
  num_pending: COUNT,
  /** Since nats-server 2.10: the time of the answer, by its clock. */
  ts: v.optional(v.string()),
  /** Since nats-server 2.11. */
  paused: v.optional(v.boolean(), false),
  pause_remaining: v.optional(COUNT, 0),
});

/** The servers of a replicated consumer; none: no replicas. */
export const consumerCluster = v.object({
  cluster: v.optional(
    v.object({
      replicas: v.nullish(
        v.array(v.object({ name: v.string(), offline: v.optional(v.boolean(), false), active: COUNT })),
        [],
      ),
    }),
  ),
});

/** Servers answer with the type only if somebody deleted the consumer during the request. */
export const noConsumerInfo = v.pipe(
  v.object({
    type: v.pipe(v.string(), v.startsWith("io.nats.jetstream.api.v1.consumer_")),
    config: v.optional(v.undefined()),
    name: v.optional(v.undefined()),
  }),
  v.transform(() => null),
);

export const consumerList = v.object({ total: COUNT, consumers: v.nullish(v.array(consumerInfo)) });

const streamConfig = v.looseObject({
  name: v.string(),
  subjects: v.nullish(SUBJECTS, []),
  retention: v.string(),
  storage: v.string(),
  discard: v.string(),
  max_consumers: LIMIT,
  max_msgs: LIMIT,
  max_bytes: LIMIT,
  max_age: LIMIT,
  max_msgs_per_subject: v.optional(LIMIT, -1),
  max_msg_size: v.optional(LIMIT, -1),
  num_replicas: LIMIT,
  no_ack: v.optional(v.boolean(), false),
  sealed: v.optional(v.boolean(), false),
  consumer_limits: v.optional(
    v.looseObject({ max_ack_pending: v.optional(LIMIT), inactive_threshold: v.optional(LIMIT) }),
  ),
});

export const streamInfo = v.object({
  created: TIME,
  config: streamConfig,
  state: v.object({
    messages: SEQUENCE,
    bytes: SEQUENCE,
    first_seq: SEQUENCE,
    last_seq: SEQUENCE,
    last_ts: v.optional(v.string(), ""),
    num_deleted: v.optional(COUNT),
    /** Only where a request asks for them. */
    deleted: v.nullish(v.array(SEQUENCE)),
    consumer_count: v.optional(COUNT, 0),
  }),
  mirror: v.optional(v.object({ lag: COUNT, active: COUNT })),
  ts: v.optional(v.string()),
});

export const streamNames = v.object({ streams: v.nullish(v.array(v.string())) });

export const deletion = v.object({ success: v.boolean() });

/** Headers and data in base 64. */
export const storedMessage = v.object({
  message: v.object({
    subject: v.string(),
    seq: SEQUENCE,
    time: TIME,
    hdrs: v.optional(v.string(), ""),
    data: v.optional(v.string(), ""),
  }),
});

export const pubAck = v.object({
  stream: v.string(),
  seq: SEQUENCE,
  domain: v.optional(v.string()),
});

const accountLimits = v.object({
  max_streams: v.optional(LIMIT),
  max_consumers: v.optional(LIMIT),
  max_ack_pending: v.optional(LIMIT),
  max_bytes_required: v.optional(v.boolean(), false),
  storage_max_stream_bytes: v.optional(LIMIT),
});

export const accountInfo = v.object({
  streams: v.optional(COUNT, 0),
  limits: accountLimits,
  /** Limits by number of replicas: `R1`, `R3`. */
  tiers: v.optional(v.record(v.string(), v.object({ streams: v.optional(COUNT, 0), limits: accountLimits }))),
});

export const apiFailure = v.object({
  error: v.object({
    code: v.number(),
    err_code: v.optional(v.number(), 0),
    description: v.optional(v.string()),
  }),
});

export type AccountInfo = v.InferOutput<typeof accountInfo>;
export type ConsumerCluster = v.InferOutput<typeof consumerCluster>["cluster"];
export type ConsumerInfo = v.InferOutput<typeof consumerInfo>;
export type StreamConfig = v.InferOutput<typeof streamConfig>;
export type StreamInfo = v.InferOutput<typeof streamInfo>;
export type StoredMessage = v.InferOutput<typeof storedMessage>["message"];
export type PubAck = v.InferOutput<typeof pubAck>;

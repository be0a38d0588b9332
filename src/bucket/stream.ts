// The stream under a KV bucket (NATS ADR-8): its names, and its creation if it is missing. Never changed.

import type { StreamConfig } from "@nats-io/jetstream";

import { streamInfo } from "#nats/answers.ts";
import { API_ERRORS, requestApi } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";

const MAX_REPLICAS = 5;

export function streamOfBucket(bucket: string): string {
  return `KV_${bucket}`;
}

export function subjectOfKey(bucket: string, key: string): string {
  return `$KV.${bucket}.${key}`;
}

/** `there`: the bucket exists, whoever created it. `isUnused`: nothing was ever written to it. */
type MadeBucket =
  | { readonly kind: "there"; readonly isUnused: boolean }
  | { readonly kind: "impossible"; readonly reason: string };

export async function makeBucketStream(
  connection: Connection,
  bucket: string,
  replicas: number,
): Promise<MadeBucket> {
  const stream = streamOfBucket(bucket);
  const answer = await requestApi(connection, {
    domain: null,
    call: `STREAM.CREATE.${stream}`,
    body: toStreamConfig(bucket, Math.min(Math.max(1, replicas), MAX_REPLICAS)),
    schema: streamInfo,
  });
  if (answer.kind === "ok") return { kind: "there", isUnused: answer.value.state.last_seq === 0 };
  const isThere = answer.kind === "refused" && answer.code === API_ERRORS.streamNameInUse;
  if (isThere) return { kind: "there", isUnused: false };
  return { kind: "impossible", reason: `stream ${stream} cannot be created: ${answer.reason}` };
}

/** The same config as NATS's KV clients use, so that they work on it. */
function toStreamConfig(bucket: string, replicas: number): Partial<StreamConfig> {
  return {
    name: streamOfBucket(bucket),
    description: "States and subscriptions of Relay",
    subjects: [subjectOfKey(bucket, ">")],
    storage: "file",
    retention: "limits",
    discard: "new",
    max_msgs_per_subject: 1,
    num_replicas: replicas,
    allow_rollup_hdrs: true,
    allow_direct: true,
  };
}

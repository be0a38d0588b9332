// Checks that the bucket can store the relays' state. No finding if it can, or if it will be created.

import { findStreamRefusal } from "./account.ts";
import { type AccountInfo, type StreamConfig, streamNames } from "#nats/answers.ts";
import { API_ERRORS, isForbidden, requestApi } from "#nats/api.ts";
import { MAX_VALUE_BYTES } from "#bucket/mirror.ts";
import { streamOfBucket, subjectOfKey } from "#bucket/stream.ts";
import type { Connection } from "#nats/connection.ts";
import type { Finding } from "./finding.ts";
import { requestStreamInfo } from "#nats/stream.ts";

const NANOS_PER_SECOND = 1_000_000_000;

/** `account`: null: unknown. */
export async function inspectBucket(
  connection: Connection,
  bucket: string,
  account: AccountInfo | null,
): Promise<readonly Finding[]> {
  const toFinding = (level: Finding["level"], message: string): Finding => ({
    level,
    about: "state.bucket",
    message: `Bucket ${bucket}: ${message}`,
  });
  const answer = await requestStreamInfo(connection, { domain: null, stream: streamOfBucket(bucket) });
  switch (answer.kind) {
    case "ok": {
      const obstacle = findObstacle(answer.value.config, bucket);
      if (obstacle !== null) return [toFinding("error", obstacle)];
      return listLosses(answer.value.config).map((loss) => toFinding("warning", loss));
    }
    case "refused": {
      if (answer.code !== API_ERRORS.streamNotFound) return [toFinding("warning", answer.reason)];
      const obstacle = await findBucketRefusal(connection, bucket, account);
      return obstacle === null ? [] : [toFinding("error", obstacle)];
    }
    case "unavailable":
      // An account that may not read the stream's info may still use the bucket.
      if (isForbidden(answer)) return [];
      return [toFinding("warning", `${answer.reason}: no state can be kept`)];
  }
}

/** Why this stream is no bucket; null: it is one. */
function findObstacle(config: StreamConfig, bucket: string): string | null {
  const { name, subjects, no_ack: isSilent, sealed: isSealed } = config;
  const wanted = subjectOfKey(bucket, ">");
  const others = subjects ?? [];
  if (others.length !== 1 || others[0] !== wanted) {
    const found = others.length === 0 ? "none" : others.join(", ");
    return `stream ${name} is no KV bucket: its subject must be ${wanted}, it has ${found}`;
  }
  if (isSilent) return `stream ${name} is no KV bucket: it does not acknowledge (no ack)`;
  if (isSealed) return `stream ${name} takes nothing any more: it is sealed`;
  return null;
}

/** Why the server would refuse to create it; null: no reason known. */
async function findBucketRefusal(
  connection: Connection,
  bucket: string,
  account: AccountInfo | null,
): Promise<string | null> {
  const subject = subjectOfKey(bucket, ">");
  const answer = await requestApi(connection, {
    domain: null,
    call: "STREAM.NAMES",
    body: { subject },
    schema: streamNames,
  });
  const owner = answer.kind === "ok" ? answer.value.streams?.[0] : undefined;
  if (owner !== undefined) return `cannot be created: stream ${owner} has subjects in common with ${subject}`;
  const reason = findStreamRefusal(account, { replicas: 1, maxBytes: -1 });
  return reason === null ? null : `cannot be created: ${reason}`;
}

/** Settings that will sooner or later delete or refuse states and API subscriptions. */
function listLosses(config: StreamConfig): readonly string[] {
  const limits = [
    ...(config.max_bytes > 0 ? [`${config.max_bytes} bytes`] : []),
    ...(config.max_msgs > 0 ? [`${config.max_msgs} keys`] : []),
  ];
  const size = config.max_msg_size ?? -1;
  return [
    ...(config.max_age > 0
      ? [`it forgets every key after ${config.max_age / NANOS_PER_SECOND} s (max age)`]
      : []),
    ...(config.discard === "old" && limits.length > 0
      ? [`it forgets its oldest keys beyond ${limits.join(" or ")} (discard old)`]
      : []),
    ...(config.max_msgs_per_subject > 0
      ? []
      : ["it keeps every value that a key ever had (no history limit): it only grows"]),
    ...(config.retention === "limits"
      ? []
      : [`it keeps keys only until consumers are done with them (retention ${config.retention})`]),
    ...(config.storage === "memory" ? ["it is empty after the server was stopped (storage memory)"] : []),
    ...(size > 0 && size < MAX_VALUE_BYTES
      ? [`it takes no value above ${size} bytes (max message size)`]
      : []),
  ];
}

// Reads one message of a bucket's stream from the stream's leader: the stored value, not that of a mirror or replica.

import { type StoredMessage, storedMessage } from "#nats/answers.ts";
import { API_ERRORS, requestApi } from "#nats/api.ts";
import { streamOfBucket, subjectOfKey } from "./stream.ts";
import type { Connection } from "#nats/connection.ts";

interface BucketMessage {
  readonly subject: string;
  readonly revision: number;
  /** null: a delete marker, by a client, or by the server after the TTL (NATS ADR-43). */
  readonly value: string | null;
  /** When it was stored, by the server's clock. */
  readonly storedAt: number;
  /** Id of the change, if Relay wrote it. */
  readonly id: string | null;
  /** Its signature; null: none. */
  readonly signature: string | null;
}

export type BucketAnswer =
  | { readonly kind: "found"; readonly message: BucketMessage }
  | { readonly kind: "missing" }
  | { readonly kind: "unavailable"; readonly reason: string };

const READ_MS = 5000;
export const ID_HEADER = "Nats-Msg-Id";

/** Takes 5 s at most. Never rejects. */
export async function readBucketMessage(
  connection: Connection,
  bucket: string,
  which: { last_by_subj: string } | { seq: number },
): Promise<BucketAnswer> {
  const answer = await requestApi(connection, {
    domain: null,
    call: `STREAM.MSG.GET.${streamOfBucket(bucket)}`,
    body: which,
    timeoutMs: READ_MS,
    schema: storedMessage,
  });
  if (answer.kind === "unavailable") return answer;
  if (answer.kind === "refused") {
    const isMissing =
      answer.code === API_ERRORS.messageNotFound || answer.code === API_ERRORS.sequenceNotFound;
    return isMissing ? { kind: "missing" } : { kind: "unavailable", reason: answer.reason };
  }
  return { kind: "found", message: toMessage(answer.value.message) };
}

/** Reads the last message of a key. */
export function readKey(connection: Connection, bucket: string, key: string): Promise<BucketAnswer> {
  return readBucketMessage(connection, bucket, { last_by_subj: subjectOfKey(bucket, key) });
}

function toMessage({ subject, seq, time, data, hdrs }: StoredMessage): BucketMessage {
  const headers = Buffer.from(hdrs, "base64").toString();
  const isRemoval = /^(?:KV-Operation: *(?:DEL|PURGE)|Nats-Marker-Reason:)/imu.test(headers);
  return {
    subject,
    revision: seq,
    value: isRemoval ? null : Buffer.from(data, "base64").toString(),
    storedAt: Date.parse(time),
    id: /^Nats-Msg-Id: *(\S+)/imu.exec(headers)?.[1] ?? null,
    signature: /^Relay-Signature: *(\S+)/imu.exec(headers)?.[1] ?? null,
  };
}

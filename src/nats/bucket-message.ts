// One message of a bucket's stream, asked for by itself.

import { storedMessage } from "./answers.ts";
import { requestApi } from "./api.ts";
import { streamOfBucket } from "./bucket-stream.ts";
import type { Connection } from "./connection.ts";

export interface BucketMessage {
  readonly subject: string;
  readonly revision: number;
  /** A mark that the key was removed: by a client, or by the server when its time had come (NATS ADR-43). */
  readonly isRemoval: boolean;
}

const READ_MS = 2000;

/** null: there is none, or it cannot be read. */
export async function readBucketMessage(
  connection: Connection,
  bucket: string,
  which: { last_by_subj: string } | { seq: number },
): Promise<BucketMessage | null> {
  const answer = await requestApi(connection, {
    domain: null,
    call: `STREAM.MSG.GET.${streamOfBucket(bucket)}`,
    body: which,
    timeoutMs: READ_MS,
    schema: storedMessage,
  });
  if (answer.kind !== "ok") return null;
  const { subject, seq, hdrs } = answer.value.message;
  const isRemoval = /^(?:KV-Operation: *(?:DEL|PURGE)|Nats-Marker-Reason:)/imu.test(
    Buffer.from(hdrs, "base64").toString(),
  );
  return { subject, revision: seq, isRemoval };
}

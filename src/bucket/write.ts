// Writes one key of a bucket, optionally on the condition of its revision.

import { headers as createHeaders, type MsgHdrs } from "@nats-io/transport-node";

import type { PubAck } from "#nats/answers.ts";
import { API_ERRORS, type ApiAnswer, isForbidden, NO_ANSWER, publishToStream } from "#nats/api.ts";
import { ID_HEADER, readKey } from "./message.ts";
import { type BucketSigner, SIGNATURE_HEADER } from "./signer.ts";
import { streamOfBucket, subjectOfKey } from "./stream.ts";
import type { Connection } from "#nats/connection.ts";
import { findExcess } from "#nats/message-size.ts";

export type WriteResult =
  | { readonly kind: "written"; readonly revision: number }
  /** The key has another revision; null: it does not exist, or could not be read. */
  | { readonly kind: "conflict"; readonly revision: number | null }
  /** The server refuses it for good. */
  | { readonly kind: "refused"; readonly reason: string }
  /** Not possible now. Without an answer in time, it may have been stored anyway. */
  | { readonly kind: "unavailable"; readonly reason: string };

interface KeyChange {
  readonly bucket: string;
  readonly key: string;
  /** null: remove it. */
  readonly value: string | null;
  /** 0: the key must not exist; null: no condition. */
  readonly expectedRevision: number | null;
  /** Message id: the server drops repetitions for at least two minutes; null: none. */
  readonly id: string | null;
  /** The signature; null: none. */
  readonly signer: BucketSigner | null;
}

/** Long, because the link to the server may be slow. */
const WRITE_MS = 5000;
/** Another client may create and remove the same key at the same time. */
const MAX_TRIES = 3;

/** Takes 5 s at most; ends when `signal` aborts. Never rejects. */
export async function writeKey(
  connection: Connection,
  change: KeyChange,
  signal: AbortSignal,
): Promise<WriteResult> {
  const stopped = AbortSignal.any([signal, AbortSignal.timeout(WRITE_MS)]);
  const { promise, resolve } = Promise.withResolvers<WriteResult>();
  const onAbort = () => resolve({ kind: "unavailable", reason: signal.aborted ? "stopped" : NO_ANSWER });
  if (stopped.aborted) onAbort();
  stopped.addEventListener("abort", onAbort, { once: true });
  const result = await Promise.race([promise, writeOrCompare(connection, change, stopped)]);
  stopped.removeEventListener("abort", onAbort);
  return result;
}

/** Temporary refusals. All others are final, such as a sealed stream. */
const PASSING_ERRORS: ReadonlySet<number> = new Set([
  API_ERRORS.accountResources,
  API_ERRORS.memoryResources,
  API_ERRORS.storageResources,
  API_ERRORS.streamGeneral,
  API_ERRORS.tooManyRequests,
  API_ERRORS.streamStoreFailed,
]);

async function writeOrCompare(
  connection: Connection,
  change: KeyChange,
  stopped: AbortSignal,
): Promise<WriteResult> {
  let { expectedRevision } = change;
  for (let tries = 1; tries <= MAX_TRIES && !stopped.aborted; tries += 1) {
    const result = judge(await publish(connection, { ...change, expectedRevision }, stopped), change.bucket);
    if (result.kind !== "conflict") return result;
    const answer = await readKey(connection, change.bucket, change.key);
    if (answer.kind !== "found") return result;
    const last = answer.message;
    // A removed key has a delete marker with its own revision: for the caller, the key does not exist.
    const isRemoval = last.value === null;
    if (change.expectedRevision !== 0 || !isRemoval)
      return { kind: "conflict", revision: isRemoval ? null : last.revision };
    expectedRevision = last.revision;
  }
  return { kind: "conflict", revision: null };
}

async function publish(
  connection: Connection,
  change: KeyChange,
  signal: AbortSignal,
): Promise<ApiAnswer<PubAck>> {
  const subject = subjectOfKey(change.bucket, change.key);
  const headers = toHeaders(change);
  const payload = Buffer.from(change.value ?? "");
  const excess = findExcess(headers, payload, connection.maxPayload);
  // Check first: the client would throw, and the server would disconnect.
  if (excess !== null) return { kind: "refused", code: API_ERRORS.messageTooLarge, reason: excess };
  const answer = await publishToStream(connection, subject, {
    payload,
    headers,
    timeoutMs: WRITE_MS,
    signal,
  });
  if (answer.kind === "nobody")
    return { kind: "unavailable", reason: `stream ${streamOfBucket(change.bucket)} does not answer` };
  return answer.kind === "unavailable" && isForbidden(answer)
    ? { kind: "refused", code: 0, reason: answer.reason }
    : answer;
}

function toHeaders({ bucket, key, value, expectedRevision, id, signer }: KeyChange): MsgHdrs {
  const headers = createHeaders();
  headers.set("Nats-Expected-Stream", streamOfBucket(bucket));
  if (id !== null) headers.set(ID_HEADER, id);
  if (value === null) headers.set("KV-Operation", "DEL");
  else if (signer !== null) headers.set(SIGNATURE_HEADER, signer.sign(key, value));
  if (expectedRevision !== null) headers.set("Nats-Expected-Last-Subject-Sequence", String(expectedRevision));
  return headers;
}

function judge(answer: ApiAnswer<PubAck>, bucket: string): WriteResult {
  if (answer.kind === "unavailable") return answer;
  if (answer.kind === "refused") {
    switch (answer.code) {
      case API_ERRORS.wrongLastSequence:
      case API_ERRORS.wrongLastSequenceUnknown:
        return { kind: "conflict", revision: null };
      default: {
        const kind = PASSING_ERRORS.has(answer.code) ? "unavailable" : "refused";
        return { kind, reason: answer.reason };
      }
    }
  }
  const { stream, seq } = answer.value;
  if (stream !== streamOfBucket(bucket)) return { kind: "unavailable", reason: "something else answered" };
  return { kind: "written", revision: seq };
}

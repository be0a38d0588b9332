// Reads the entries of a dead-letter stream between two sequences, headers only, with a temporary consumer.
//
// On nats-server 2.9 with 100,000 letters of 2 KB, reading 1000 takes 10 ms this way, and 64 ms one by one (with bodies).

import type { ConsumerConfig } from "@nats-io/jetstream";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import type { StoredLetter } from "#delivery/letter.ts";
import { isDeleteMarker } from "#delivery/message.ts";
import { parseAckSubject } from "#nats/ack-subject.ts";
import { consumerInfo, deletion } from "#nats/answers.ts";
import { API_ERRORS, apiPrefix, NO_ANSWER, requestApi } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import { readHeaderBlock } from "#nats/header-block.ts";
import type { LetterLocation } from "./locations.ts";
import { readPullStatus } from "#nats/pull-status.ts";

interface WindowRequest {
  readonly from: number;
  /** Exclusive. */
  readonly before: number;
  /** A subject filter; null: the whole stream. */
  readonly filter: string | null;
  /** Number of entries at or after `before` when it was last read; null: unknown. */
  readonly above: number | null;
  /** Limit of entries per window. */
  readonly most: number;
  readonly signal: AbortSignal;
}

type WindowResult =
  | {
      readonly kind: "read";
      /** Oldest first. */
      readonly letters: readonly StoredLetter[];
      /** Number of entries at or after `from`. */
      readonly above: number;
    }
  /** About this many entries are there. */
  | { readonly kind: "too-many"; readonly count: number }
  | { readonly kind: "missing" }
  | { readonly kind: "unavailable"; readonly reason: string };

/** The name tells operators that Relay created it. */
export const READER_PREFIX = "relay-letters-";
const NANOS_PER_MS = 1_000_000;
const MAX_BATCH = 256;
/** After this time without a pull, the server deletes a consumer that Relay could not delete. */
const INACTIVE_MS = 5000;
const SILENCE_MS = 5000;
const DELETE_MS = 1000;
const SIZE_HEADER = "nats-msg-size";

export async function readWindow(
  connection: Connection,
  location: LetterLocation,
  request: WindowRequest,
): Promise<WindowResult> {
  const { domain, stream } = location;
  const consumer = READER_PREFIX + crypto.randomUUID();
  const answer = await requestApi(connection, {
    domain,
    call: `CONSUMER.CREATE.${stream}.${consumer}${request.filter === null ? "" : `.${request.filter}`}`,
    body: { stream_name: stream, config: toConsumerConfig(consumer, request), action: "create" },
    schema: consumerInfo,
    signal: request.signal,
  });
  if (answer.kind === "refused" && answer.code === API_ERRORS.streamNotFound) return { kind: "missing" };
  if (answer.kind === "refused") return { kind: "unavailable", reason: answer.reason };
  try {
    if (answer.kind === "unavailable") return answer;
    const above = answer.value.num_pending;
    const count = request.above === null ? 0 : above - request.above;
    if (count > request.most) return { kind: "too-many", count };
    return await readAll(connection, { location, request, consumer, above });
  } finally {
    // Not awaited: the result is complete, and the server deletes an unused consumer soon anyway.
    void requestApi(connection, {
      domain,
      call: `CONSUMER.DELETE.${stream}.${consumer}`,
      timeoutMs: DELETE_MS,
      schema: deletion,
    });
  }
}

/** Reads until an entry at or after `before` comes, or none is left. Counts are only hints: letters come and go. */
async function readAll(
  connection: Connection,
  {
    location,
    request,
    consumer,
    above,
  }: { location: LetterLocation; request: WindowRequest; consumer: string; above: number },
): Promise<WindowResult> {
  const { from, before } = request;
  const letters: StoredLetter[] = [];
  let next = from;
  let pending = above;
  while (next < before && pending > 0) {
    const client = connection.client();
    if (client === null || !connection.isConnected)
      return { kind: "unavailable", reason: "not connected to NATS" };
    const left = request.above === null ? before - next : pending - request.above + 1;
    const batch = Math.max(1, Math.min(left, before - next, pending, MAX_BATCH));
    const inbox = connection.newInbox();
    const pull = await pullBatch(client, { location, consumer, batch, inbox, signal: request.signal });
    if (pull.kind === "failed") return { kind: "unavailable", reason: pull.reason };
    for (const { letter } of pull.pulled) {
      next = letter.sequence + 1;
      if (letter.sequence < before && !isDeleteMarker(letter.headers, letter.size)) letters.push(letter);
    }
    const last = pull.pulled.at(-1);
    pending = last === undefined || pull.isEnd ? 0 : last.pending;
  }
  return { kind: "read", letters, above };
}

interface Pulled {
  readonly letter: StoredLetter;
  readonly pending: number;
}

type Pull =
  | { readonly kind: "pulled"; readonly pulled: readonly Pulled[]; readonly isEnd: boolean }
  | { readonly kind: "failed"; readonly reason: string };

/** Pulls one batch without waiting for new messages. */
async function pullBatch(
  client: NatsConnection,
  {
    location,
    consumer,
    batch,
    inbox,
    signal,
  }: { location: LetterLocation; consumer: string; batch: number; inbox: string; signal: AbortSignal },
): Promise<Pull> {
  const { domain, stream } = location;
  const { promise, resolve } = Promise.withResolvers<Pull>();
  const pulled: Pulled[] = [];
  const subscription = client.subscribe(inbox, {
    callback: (error, msg) => {
      timer.refresh();
      if (error !== null) return resolve({ kind: "failed", reason: error.message });
      const one = toPulled(msg, location);
      if (one === null) return resolve(toEnd(msg, pulled));
      pulled.push(one);
      if (pulled.length === batch) resolve({ kind: "pulled", pulled, isEnd: false });
    },
  });
  const timer = setTimeout(() => resolve({ kind: "failed", reason: NO_ANSWER }), SILENCE_MS);
  const onAbort = () => resolve({ kind: "failed", reason: "stopped" });
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  try {
    const subject = `${apiPrefix(domain)}.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    client.publish(subject, JSON.stringify({ batch, no_wait: true }), { reply: inbox });
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    if (!subscription.isClosed()) subscription.unsubscribe();
  }
}

/** null: a status message of the pull. */
function toPulled(msg: Msg, { domain, stream }: LetterLocation): Pulled | null {
  const position = parseAckSubject(msg.reply ?? "");
  if (position === null) return null;
  const { headers } = readHeaderBlock(msg);
  const size = headers.findLast(([name]) => name.toLowerCase() === SIZE_HEADER)?.[1];
  const letter: StoredLetter = {
    domain,
    stream,
    sequence: position.sequence,
    subject: msg.subject,
    storedAtNanos: position.timestampNanos,
    headers,
    size: /^\d{1,15}$/.test(size ?? "") ? Number(size) : 0,
  };
  return { letter, pending: position.pending };
}

function toEnd(msg: Msg, pulled: readonly Pulled[]): Pull {
  const { code, description } = readPullStatus(msg);
  const isEnd = code === 404 || code === 408;
  return isEnd ? { kind: "pulled", pulled, isEnd } : { kind: "failed", reason: `${code} ${description}` };
}

function toConsumerConfig(name: string, { from, filter }: WindowRequest): Partial<ConsumerConfig> {
  return {
    name,
    description: "Relay reads dead letters",
    deliver_policy: "by_start_sequence",
    opt_start_seq: from,
    ack_policy: "none",
    headers_only: true,
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: INACTIVE_MS * NANOS_PER_MS,
    ...(filter === null ? {} : { filter_subject: filter }),
  };
}

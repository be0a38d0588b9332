// Feed of a bucket: its whole content, then each change, pushed by an ordered consumer.
//
// The server numbers the messages, which shows a gap, and sends heartbeats, which show silence. Either ends the feed; the next
// one begins with the whole content again.

import type { ConsumerConfig } from "@nats-io/jetstream";
import type { Msg, Subscription } from "@nats-io/transport-node";

import { parseAckSubject } from "#nats/ack-subject.ts";
import { consumerInfo, deletion } from "#nats/answers.ts";
import { API_ERRORS, requestApi } from "#nats/api.ts";
import { streamOfBucket, subjectOfKey } from "./stream.ts";
import { SIGNATURE_HEADER } from "./signer.ts";
import type { Connection } from "#nats/connection.ts";
import { readStatusCode } from "#nats/header-block.ts";

export interface StoredChange {
  readonly key: string;
  /** null: removed. */
  readonly value: string | null;
  readonly revision: number;
  /** Its signature; null: none. */
  readonly signature: string | null;
}

export interface Feed {
  /** Resolves with the reason when the feed has ended. */
  readonly ended: Promise<string>;
  end: (reason: string) => void;
  /** Ends the feed and deletes its consumer; bounded. */
  close: () => Promise<void>;
}

type OpenedFeed =
  /** `serverTime`: the server's clock when the consumer was created. */
  | { readonly kind: "open"; readonly feed: Feed; readonly serverTime: number }
  /** The bucket does not exist. */
  | { readonly kind: "missing" }
  | { readonly kind: "unavailable"; readonly reason: string };

interface FeedReader {
  /** Called once for each key (removed ones too, in the order of revisions), then for each change. Must not throw. */
  readonly onChange: (change: StoredChange) => void;
  /** Called once, after the whole content. */
  readonly onCaughtUp: () => void;
}

const CONSUMER_PREFIX = "mirror-";
const NANOS_PER_MS = 1_000_000;
const HEARTBEAT_MS = 700;
/** Nearly three heartbeats. */
const SILENCE_MS = 2000;
const INACTIVE_MS = 5000;
/** Long, because the link to the server may be slow. */
const CREATE_MS = 8000;
const DELETE_MS = 1000;
const STATUS_ALIVE = 100;

export async function openFeed(
  connection: Connection,
  bucket: string,
  { onChange, onCaughtUp }: FeedReader,
): Promise<OpenedFeed> {
  const client = connection.client();
  if (client === null || !connection.isConnected)
    return { kind: "unavailable", reason: "not connected to NATS" };
  const consumer = CONSUMER_PREFIX + crypto.randomUUID();
  const stream = streamOfBucket(bucket);
  const inbox = connection.newInbox();
  const ended = Promise.withResolvers<string>();
  const prefixLength = subjectOfKey(bucket, "").length;
  let hasEnded = false;
  let received = 0;
  let expected = Number.POSITIVE_INFINITY;
  let isCaughtUp = false;
  let heardAt = performance.now();

  const subscription = client.subscribe(inbox, {
    callback: (error, msg) => (error === null ? take(msg) : end(error.message)),
  });
  let timer = setTimeout(checkSilence, CREATE_MS + SILENCE_MS);

  function checkSilence(): void {
    const leftMs = heardAt + SILENCE_MS - performance.now();
    if (leftMs > 0) timer = setTimeout(checkSilence, leftMs);
    else end("no heartbeat from the server");
  }

  function take(msg: Msg): void {
    if (hasEnded) return;
    heardAt = performance.now();
    try {
      if (isStatus(msg)) takeStatus(msg);
      else takeChange(msg);
    } catch {
      end("unreadable message");
    }
  }

  function takeStatus(msg: Msg): void {
    const { code, description } = msg.headers ?? { code: 0, description: "" };
    if (code !== STATUS_ALIVE) return end(`status ${code}: ${description}`);
    // Answer flow control: its own message, and a heartbeat that reports a lost one.
    const asked = msg.reply ?? msg.headers?.get("Nats-Consumer-Stalled") ?? "";
    if (asked !== "") connection.publish(asked, "");
    const sent = msg.headers?.get("Nats-Last-Consumer") ?? "";
    if (sent === "") return;
    if (Number(sent) !== received) return end("messages of the bucket were lost on the way");
    catchUp();
  }

  function takeChange(msg: Msg): void {
    const position = parseAckSubject(msg.reply ?? "");
    if (position === null) return end("unreadable message");
    received += 1;
    const key = msg.subject.slice(prefixLength);
    onChange({
      key,
      value: isRemoval(msg) ? null : msg.string(),
      revision: position.sequence,
      signature: msg.headers?.get(SIGNATURE_HEADER) ?? null,
    });
    if (received >= expected) catchUp();
  }

  function catchUp(): void {
    if (isCaughtUp || expected === Number.POSITIVE_INFINITY) return;
    isCaughtUp = true;
    onCaughtUp();
  }

  function end(reason: string): void {
    if (hasEnded) return;
    hasEnded = true;
    clearTimeout(timer);
    unsubscribe(subscription);
    ended.resolve(reason);
  }

  async function close(): Promise<void> {
    end("closed");
    const call = `CONSUMER.DELETE.${stream}.${consumer}`;
    await requestApi(connection, { domain: null, call, timeoutMs: DELETE_MS, schema: deletion });
  }

  const filter = subjectOfKey(bucket, ">");
  const answer = await requestApi(connection, {
    domain: null,
    call: `CONSUMER.CREATE.${stream}.${consumer}.${filter}`,
    body: { stream_name: stream, config: toConsumerConfig(consumer, { inbox, filter }), action: "create" },
    timeoutMs: CREATE_MS,
    schema: consumerInfo,
  });
  if (answer.kind !== "ok") {
    // Without an answer in time, the consumer may exist.
    if (answer.kind === "unavailable") void close();
    end(answer.reason);
    const isMissing = answer.kind === "refused" && answer.code === API_ERRORS.streamNotFound;
    // A permission error names the subject: replace the consumer's random name, so that the reason stays the same.
    const reason = answer.reason.replaceAll(consumer, `${CONSUMER_PREFIX}*`);
    return isMissing ? { kind: "missing" } : { kind: "unavailable", reason };
  }
  expected = answer.value.num_pending + answer.value.delivered.consumer_seq;
  heardAt = performance.now();
  clearTimeout(timer);
  if (!hasEnded) timer = setTimeout(checkSilence, SILENCE_MS);
  if (received >= expected) catchUp();
  const serverTime = Date.parse(answer.value.created);
  return { kind: "open", feed: { ended: ended.promise, end, close }, serverTime };
}

function toConsumerConfig(
  name: string,
  { inbox, filter }: { inbox: string; filter: string },
): Partial<ConsumerConfig> {
  return {
    name,
    deliver_subject: inbox,
    filter_subject: filter,
    deliver_policy: "last_per_subject",
    ack_policy: "none",
    mem_storage: true,
    num_replicas: 1,
    flow_control: true,
    idle_heartbeat: HEARTBEAT_MS * NANOS_PER_MS,
    inactive_threshold: INACTIVE_MS * NANOS_PER_MS,
  };
}

function isStatus(msg: Msg): boolean {
  return msg.data.length === 0 && readStatusCode(msg) !== 0;
}

/** True if a client removed the key, or the server after its TTL (NATS ADR-43). */
function isRemoval(msg: Msg): boolean {
  const operation = msg.headers?.get("KV-Operation") ?? "";
  return operation === "DEL" || operation === "PURGE" || msg.headers?.has("Nats-Marker-Reason") === true;
}

function unsubscribe(subscription: Subscription): void {
  if (!subscription.isClosed()) subscription.unsubscribe();
}

// Whether a stream still is what Relay remembers of it: a message is known by its sequence and its time, for ever.

import { parseNatsTimestamp } from "#delivery/message.ts";
import { RelayError } from "#lib/errors.ts";

import { type StreamInfo, storedMessage } from "#nats/answers.ts";
import { requestApi } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import type { StreamRef } from "#nats/stream.ts";

export interface StreamMessage {
  readonly sequence: number;
  readonly timestampNanos: bigint;
}

/** What Relay remembers of a stream. */
export interface RememberedPosition {
  /** `created` of the stream, as the server wrote it. */
  readonly streamCreated: string;
  /** Acknowledged up to here, by the server's word; null: not known. */
  readonly sequence: number | null;
  /** The highest that the server told since the last alignment: less, where it had forgotten some; null: nothing yet. */
  readonly ackFloor: number | null;
  /** Some of its newest messages, the oldest first: those that were done, and one or none that is up to `sequence`. */
  readonly messages: () => readonly StreamMessage[];
}

/** What is left in a stream of what Relay remembers. */
export type Continuity =
  /** It is the same: the message of `sequence`, the newest that is remembered, is there. */
  | { readonly kind: "intact"; readonly sequence: number }
  /** It ends, or goes on with other messages, before what is remembered; the same up to `sequence` at least, 0: nothing. */
  | { readonly kind: "cut"; readonly sequence: number }
  /** Nothing can be compared: nothing is remembered, or it was deleted since, or may not be read. */
  | { readonly kind: "unknown" };

/** A remembered position, held against the stream. */
export interface Position extends Pick<RememberedPosition, "streamCreated" | "sequence"> {
  readonly continuity: Continuity;
}

type Comparison = "same" | "other" | "unknown";

const UNKNOWN: Continuity = { kind: "unknown" };

/** Throws RelayError `nats-unavailable`. One request as a rule, none where the newest is the stream's last. */
export async function checkContinuity(
  connection: Connection,
  { domain, stream, info }: StreamRef & { readonly info: StreamInfo },
  remembered: RememberedPosition,
): Promise<Continuity> {
  const { first_seq: first, last_seq: last, last_ts: lastTime } = info.state;
  const isShorter = last < (remembered.sequence ?? 0);
  const messages = remembered.messages();
  const newest = messages.at(-1);
  const compared = newest === undefined ? "unknown" : await compare(newest);
  if (newest !== undefined && compared === "same") {
    return { kind: isShorter ? "cut" : "intact", sequence: newest.sequence };
  }
  if (compared === "unknown" && !isShorter) return UNKNOWN;
  return { kind: "cut", sequence: await findNewestSame() };

  /** 0: none. What was lost is a tail, so that it can be bisected; a hole within costs duplicates. */
  async function findNewestSame(): Promise<number> {
    let same = 0;
    let end = messages.length;
    while (same < end) {
      const middle = (same + end) >>> 1;
      const message = messages[middle];
      if (message !== undefined && (await compare(message)) === "same") same = middle + 1;
      else end = middle;
    }
    return messages[same - 1]?.sequence ?? 0;
  }

  async function compare(message: StreamMessage): Promise<Comparison> {
    if (message.sequence > last) return "other";
    if (message.sequence < first) return "unknown";
    const time = message.sequence === last ? lastTime : await readTime(message.sequence);
    if (time === null) return "unknown";
    return parseNatsTimestamp(time) === message.timestampNanos ? "same" : "other";
  }

  async function readTime(seq: number): Promise<string | null> {
    const answer = await requestApi(connection, {
      domain,
      call: `STREAM.MSG.GET.${stream}`,
      body: { seq },
      schema: storedMessage,
    });
    if (answer.kind === "ok") return answer.value.message.time;
    // Where the account may not ask, there may be no answer at all, though the stream was just read.
    if (answer.kind === "refused" || connection.isConnected) return null;
    throw new RelayError("nats-unavailable", `Cannot read message ${seq} of ${stream}: ${answer.reason}`);
  }
}

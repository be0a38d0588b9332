// Checks whether a stream still has the messages that Relay remembers, by their sequence and time.

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
  /** The server's ack floor; null: unknown. */
  readonly sequence: number | null;
  /** The highest ack floor that the server reported since the last alignment; null: none yet. */
  readonly ackFloor: number | null;
  /** Some of the newest done messages, oldest first, with at most one up to `sequence`. */
  readonly messages: () => readonly StreamMessage[];
}

/** How much of what Relay remembers is still in the stream. */
export type Continuity =
  /** The newest remembered message, `sequence`, is there. */
  | { readonly kind: "intact"; readonly sequence: number }
  /** The stream ends, or has other messages, before that. It is the same up to `sequence` at least; 0: nothing is. */
  | { readonly kind: "cut"; readonly sequence: number }
  /** Nothing to compare: nothing is remembered, or the message was deleted or may not be read. */
  | { readonly kind: "unknown" };

/** A remembered position, compared with the stream. */
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

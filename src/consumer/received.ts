// A message as it came in, with the answers that the server takes for it.

import type { Msg } from "@nats-io/transport-node";

import type { Message } from "#delivery/message.ts";

import { parseAckSubject } from "#nats/ack-subject.ts";
import type { Connection } from "#nats/connection.ts";
import { readHeaderBlock } from "#nats/header-block.ts";

export interface Received {
  readonly message: Message;
  /** Not waited for; repeated after a reconnect until the server is known to have it. */
  ack: () => void;
  /**
   * Acks and waits, 2 s at most, until the server says that it took it. False: not known, the message may come again
   * or not.
   */
  confirmAck: (signal: AbortSignal) => Promise<boolean>;
  /** Gives it back at once. Never repeated: what is lost of it, the ack wait does. */
  nak: () => void;
  /** Starts the ack wait anew. */
  working: () => void;
  /** Messages of the consumer still to come after this one. */
  readonly pending: number;
  /** What it takes of the `max_bytes` of a pull: subject, ack subject, headers and body. */
  readonly bytes: number;
  /** Of the consumer: which of its deliveries this one is. */
  readonly consumerSequence: number;
}

const CONFIRM_MS = 2000;

/** null: not a message that a consumer delivered. `isAckUrgent`: something waits for the ack, such as the next message. */
export function toReceived(
  msg: Msg,
  connection: Connection,
  { isAckUrgent }: { isAckUrgent: boolean },
): Received | null {
  const reply = msg.reply;
  const position = reply === undefined ? null : parseAckSubject(reply);
  if (reply === undefined || position === null) return null;
  const { stream, sequence, timestampNanos, deliveryCount, pending, consumerSequence } = position;
  const { headers, unreadable } = readHeaderBlock(msg);
  const message: Message = {
    stream,
    sequence,
    subject: msg.subject,
    timestampNanos,
    deliveryCount,
    headers,
    unreadableHeaders: unreadable,
    body: msg.data,
  };
  return {
    message,
    ack: () => connection.publishAck(reply, { isUrgent: isAckUrgent }),
    confirmAck: (signal) => confirmAck(reply, connection, signal),
    nak: () => connection.publish(reply, "-NAK"),
    working: () => connection.publish(reply, "+WPI"),
    pending,
    bytes: (msg as Msg & { size: () => number }).size(),
    consumerSequence,
  };
}

async function confirmAck(reply: string, connection: Connection, signal: AbortSignal): Promise<boolean> {
  const answer = await connection.request(reply, { payload: "+ACK", timeoutMs: CONFIRM_MS, signal });
  return answer.kind === "answered";
}

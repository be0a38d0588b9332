// A pulled message with its answers to the server: ack, confirmed ack, nak, working.

import type { Msg } from "@nats-io/transport-node";

import type { Message } from "#delivery/message.ts";

import { parseAckSubject } from "#nats/ack-subject.ts";
import type { Connection } from "#nats/connection.ts";
import { readHeaderBlock } from "#nats/header-block.ts";

export interface Received {
  readonly message: Message;
  /** Does not wait. Repeated after a reconnect until a ping confirms it. */
  ack: () => void;
  /**
   * Acks and waits, 2 s at most, for the server's confirmation. False: unknown; the message may come again.
   */
  confirmAck: (signal: AbortSignal) => Promise<boolean>;
  /** Gives the message back at once. Never repeated: if the nak is lost, the ack wait has the same effect. */
  nak: () => void;
  /** Restarts the ack wait. */
  working: () => void;
  /** Messages left in the consumer after this one. */
  readonly pending: number;
  /** Its share of a pull's `max_bytes`: subject, ack subject, headers and body. */
  readonly bytes: number;
  /** Number of this delivery in the consumer. */
  readonly consumerSequence: number;
}

const CONFIRM_MS = 2000;

/** null: no message of a consumer. `isAckUrgent`: something waits for the ack, such as the next message. */
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

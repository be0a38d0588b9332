// Core NATS messages, without JetStream: subscribes over every reconnect, and publishes with headers.

import {
  headers as createHeaders,
  type Msg,
  type Subscription,
  type NatsConnection,
} from "@nats-io/transport-node";
import { messageOf } from "#lib/errors.ts";
import type { Connection } from "./connection.ts";
import { readHeaderBlock, readStatusCode } from "./header-block.ts";

export interface PlainMessage {
  readonly subject: string;
  /** null: the sender expects no answer. */
  readonly reply: string | null;
  readonly data: Uint8Array;
  /** This answers a request whose subject has no listener. */
  readonly isNobody: boolean;
  /** Ignores the case of the name; null: there is no such header. */
  readonly header: (name: string) => string | null;
}

interface ListenOptions {
  /** Must not throw. */
  readonly onMessage: (message: PlainMessage) => void;
  /** The server forbids the subscription. It is tried again after the next connect. */
  readonly onRefused?: (reason: string) => void;
}

const STATUS_NO_RESPONDERS = 503;

/** Returns the unsubscribe. */
export function listen(
  connection: Pick<Connection, "client" | "onReconnect">,
  subject: string,
  { onMessage, onRefused = () => {} }: ListenOptions,
): () => void {
  let current: { client: NatsConnection; subscription: Subscription } | null = null;

  function take(error: Error | null, msg: Msg): void {
    if (error === null) onMessage(toPlainMessage(msg));
    else onRefused(messageOf(error));
  }

  function open(): void {
    const client = connection.client();
    if (client === null || (current?.client === client && !current.subscription.isClosed())) return;
    try {
      current = { client, subscription: client.subscribe(subject, { callback: take }) };
    } catch (error) {
      onRefused(messageOf(error));
    }
  }

  const forget = connection.onReconnect(open);
  open();
  return () => {
    forget();
    try {
      current?.subscription.unsubscribe();
    } catch {
      // The connection is gone, and the subscription with it.
    }
    current = null;
  };
}

function toPlainMessage(msg: Msg): PlainMessage {
  let headers: ReadonlyMap<string, string> | null = null;
  return {
    subject: msg.subject,
    reply: msg.reply === undefined || msg.reply === "" ? null : msg.reply,
    data: msg.data,
    isNobody: msg.data.length === 0 && readStatusCode(msg) === STATUS_NO_RESPONDERS,
    header(name) {
      headers ??= new Map(readHeaderBlock(msg).headers.map(([key, value]) => [key.toLowerCase(), value]));
      return headers.get(name.toLowerCase()) ?? null;
    },
  };
}

interface PlainAnswer {
  readonly payload?: Uint8Array | string;
  /** Characters that a header cannot hold are dropped from the values. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The subject for an answer. */
  readonly reply?: string;
}

/** Sends now. False: the message was dropped, because NATS is not connected or the message is too large. */
export function publishPlain(
  connection: Pick<Connection, "client" | "isConnected">,
  subject: string,
  { payload = "", headers = {}, reply }: PlainAnswer = {},
): boolean {
  const client = connection.isConnected ? connection.client() : null;
  if (client === null) return false;
  try {
    const names = Object.entries(headers);
    const block = createHeaders();
    for (const [name, value] of names) block.set(name, value.replaceAll(/[^\x20-\x7E]/gu, "?"));
    client.publish(subject, payload, {
      ...(names.length === 0 ? {} : { headers: block }),
      ...(reply === undefined ? {} : { reply }),
    });
    return true;
  } catch {
    return false;
  }
}

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
  /** Null: nobody waits for an answer. */
  readonly reply: string | null;
  readonly data: Uint8Array;
  /** Nobody listens to the subject of the request that this answers. */
  readonly isNobody: boolean;
  /** Null: there is none of that name; the case of the name does not matter. */
  readonly header: (name: string) => string | null;
}

interface ListenOptions {
  /** Must not throw. */
  readonly onMessage: (message: PlainMessage) => void;
  /** The server forbids it; it is tried again after the next connect. */
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
      // Its connection is gone, and the subscription with it.
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
  /** What no header can hold is left out of their values. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Where an answer goes to. */
  readonly reply?: string;
}

/** Sends now. False: it was dropped, because NATS is not connected or refuses its size. */
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

// NATS request and reply: each request ends by its answer, its time limit, its signal, or the loss of the connection.
//
// The library's own requests take no signal, and an answer with unreadable headers stops its inbox for good.

import type { Msg, MsgHdrs, NatsConnection, Subscription } from "@nats-io/transport-node";

import { messageOf } from "#lib/errors.ts";

import { readStatusCode } from "./header-block.ts";

export interface RequestOptions {
  readonly payload?: string | Uint8Array;
  readonly headers?: MsgHdrs;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export type Reply =
  | { readonly kind: "answered"; readonly data: Uint8Array }
  /** No responders on that subject: it had no effect. */
  | { readonly kind: "nobody" }
  | { readonly kind: "late" }
  /** It ended early and may have had an effect. */
  | { readonly kind: "failed"; readonly reason: string };

export interface Requests {
  /** Never rejects. */
  send: (subject: string, options: RequestOptions) => Promise<Reply>;
  /** Fails the open requests to a subject that the server forbids. */
  refuse: (subject: string, reason: string) => void;
  /** Fails all open requests: their answers cannot come any more. */
  failAll: (reason: string) => void;
}

interface Inbox {
  readonly client: NatsConnection;
  readonly prefix: string;
  readonly subscription: Subscription;
}

interface Outstanding {
  readonly subject: string;
  readonly end: (reply: Reply) => void;
}

const STATUS_NO_RESPONDERS = 503;

/** `client`: the current one; null: none is up. */
export function createRequests({
  client,
  newInbox,
}: {
  client: () => NatsConnection | null;
  newInbox: () => string;
}): Requests {
  const outstanding = new Map<string, Outstanding>();
  let inbox: Inbox | null = null;
  let sent = 0;

  /** The inbox of the current client. */
  function openInbox(current: NatsConnection): Inbox {
    if (inbox?.client === current && !inbox.subscription.isClosed()) return inbox;
    const prefix = newInbox();
    const subscription = current.subscribe(`${prefix}.*`, {
      callback: (error, msg) => (error === null ? take(msg) : failAll(error.message)),
    });
    inbox = { client: current, prefix, subscription };
    return inbox;
  }

  function take(msg: Msg): void {
    const { data } = msg;
    const isNobody = data.length === 0 && readStatusCode(msg) === STATUS_NO_RESPONDERS;
    outstanding.get(msg.subject)?.end(isNobody ? { kind: "nobody" } : { kind: "answered", data });
  }

  function send(
    subject: string,
    { payload = "", headers, timeoutMs, signal }: RequestOptions,
  ): Promise<Reply> {
    const current = client();
    if (current === null) return Promise.resolve({ kind: "failed", reason: "not connected to NATS" });
    if (signal?.aborted === true) return Promise.resolve(STOPPED);
    const { promise, resolve } = Promise.withResolvers<Reply>();
    let reply = "";
    const end = (result: Reply): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      outstanding.delete(reply);
      resolve(result);
    };
    const onAbort = () => end(STOPPED);
    const timer = setTimeout(end, timeoutMs, { kind: "late" } satisfies Reply);
    signal?.addEventListener("abort", onAbort);
    try {
      sent += 1;
      reply = `${openInbox(current).prefix}.${sent}`;
      outstanding.set(reply, { subject, end });
      current.publish(subject, payload, { reply, ...(headers === undefined ? {} : { headers }) });
    } catch (error) {
      end({ kind: "failed", reason: messageOf(error) });
    }
    return promise;
  }

  function failAll(reason: string): void {
    for (const { end } of outstanding.values()) end({ kind: "failed", reason });
  }

  return {
    send,
    failAll,
    refuse(refused, reason) {
      for (const { subject, end } of outstanding.values()) {
        if (subject === refused) end({ kind: "failed", reason });
      }
    },
  };
}

const STOPPED: Reply = { kind: "failed", reason: "stopped" };

// The inbox of pulled messages: a NATS subscription, renewed when late messages of a former pull must be told apart.

import type { Msg, Subscription } from "@nats-io/transport-node";

import type { Connection } from "#nats/connection.ts";
import { settlesWithin } from "#lib/settles-within.ts";

interface PullInbox {
  /**
   * Takes a new subject, so that late messages of former pulls do not count for the next one: they come to the old subject and
   * are still handed over. The server ends its pulls for the old subject. False: not possible now.
   */
  renew: () => boolean;
  /** Reply subject of pull number `id`. */
  subject: (id: number) => string;
  readonly isOpen: boolean;
  /** Resolves when nothing more will be handed over; bounded. */
  close: () => Promise<void>;
}

interface PullInboxOptions {
  /** `isFormer`: the message came to a former subject. Must not throw. */
  readonly onMsg: (msg: Msg, isFormer: boolean) => void;
  /** The server refused the subscription. Must not throw. */
  readonly onError: (error: Error) => void;
}

const DRAIN_MS = 2000;

export function openPullInbox(connection: Connection, { onMsg, onError }: PullInboxOptions): PullInbox {
  let prefix = "";
  let subscription: Subscription | null = null;

  function renew(): boolean {
    const client = connection.client();
    if (client === null || client.isClosed() || client.isDraining()) return false;
    const old = subscription;
    const own = connection.newInbox();
    prefix = own;
    subscription = client.subscribe(`${own}.*`, {
      callback: (error, msg) => (error === null ? onMsg(msg, prefix !== own) : onError(error)),
    });
    if (old !== null) void drain(old);
    return true;
  }

  async function close(): Promise<void> {
    const old = subscription;
    subscription = null;
    if (old !== null) await drain(old);
  }

  return {
    renew,
    subject: (id) => `${prefix}.${id}`,
    get isOpen() {
      return subscription !== null;
    },
    close,
  };
}

async function drain(subscription: Subscription): Promise<void> {
  if (subscription.isClosed()) return;
  const isDrained = await settlesWithin(subscription.drain(), DRAIN_MS);
  if (!isDrained && !subscription.isClosed()) subscription.unsubscribe();
}

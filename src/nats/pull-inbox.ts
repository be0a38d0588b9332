// Where pulled messages arrive: a subscription that is made anew after each reconnect, and drained in the end.

import type { Msg, Subscription } from "@nats-io/transport-node";

import type { Connection } from "./connection.ts";
import { settlesWithin } from "./settles-within.ts";

export interface PullInbox {
  /**
   * Takes a new subject, so that a pull that the server still has for the old one does not add to the next; what is on
   * its way to the old one is still handed over. False: not possible now.
   */
  renew: () => boolean;
  /** The subject for the answers to pull number `id`. */
  subject: (id: number) => string;
  readonly isOpen: boolean;
  /** Resolves when nothing more will be handed over; bounded. */
  close: () => Promise<void>;
}

const DRAIN_MS = 2000;

/** `onError`: the server refuses the subscription. Both callbacks must not throw. */
export function openPullInbox(
  connection: Connection,
  { onMsg, onError }: { onMsg: (msg: Msg) => void; onError: (error: Error) => void },
): PullInbox {
  let prefix = "";
  let subscription: Subscription | null = null;

  function renew(): boolean {
    const client = connection.client();
    if (client === null || client.isClosed() || client.isDraining()) return false;
    const old = subscription;
    prefix = connection.newInbox();
    subscription = client.subscribe(`${prefix}.*`, {
      callback: (error, msg) => (error === null ? onMsg(msg) : onError(error)),
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

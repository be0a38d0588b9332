// What keeps its order: all messages of a subscription, or those that have a key in common.

import type { Message } from "./message.ts";

export type OrderKey =
  /** Of the whole subscription. */
  | { readonly kind: "none" }
  | { readonly kind: "subject" }
  /** `name` in lower case. */
  | { readonly kind: "header"; readonly name: string }
  /** `index` from 1. */
  | { readonly kind: "token"; readonly index: number };

export interface Ordering {
  readonly key: OrderKey;
  /** What a failure interrupts that would interrupt the subscription. */
  readonly onFailure: "subscription" | "key";
  /** So many messages are held at most. */
  readonly window: number;
}

/** The key of messages that have none; no message has it as its own. */
const SHARED_KEY = "";
/** Of one window. */
export const MAX_WINDOW_BYTES = 16 * 1024 * 1024;
/** While NATS is far away, so many windows may be on their way or held. */
const AHEAD = 4;
const MOST_AHEAD = 1000;
/** Where nothing is said. */
export const STRICT: Ordering = { key: { kind: "none" }, onFailure: "subscription", window: 64 };

/**
 * How many messages the server may have given out: those of the window, those that are on their way while NATS is far away, and
 * those whose acks are. A window of 1 is one message on the whole path.
 */
export function mostOut({ window }: Ordering): number {
  return window === 1 ? 1 : Math.min(window * AHEAD, MOST_AHEAD);
}

export function orderKeyOf(message: Pick<Message, "subject" | "headers">, key: OrderKey): string {
  switch (key.kind) {
    case "none":
      return SHARED_KEY;
    case "subject":
      return message.subject;
    case "header":
      return headerOf(message, key.name);
    case "token":
      return message.subject.split(".", key.index)[key.index - 1] ?? SHARED_KEY;
  }
}

function headerOf({ headers }: Pick<Message, "headers">, wanted: string): string {
  for (const [name, value] of headers)
    if (name.length === wanted.length && name.toLowerCase() === wanted) return value;
  return SHARED_KEY;
}

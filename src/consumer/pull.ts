// A pull that is out, and whether it is still worth waiting for.

import type { PullRequest } from "./pull-request.ts";

export interface Pull {
  readonly id: number;
  readonly sentAt: number;
  readonly expiresMs: number;
  readonly silenceMs: number;
  /** When anything came last, or the pull was sent. */
  heardAt: number;
  /** How many may still come. */
  left: number;
  /** How much they may take, as the server counts it. */
  bytesLeft: number;
  hasDelivered: boolean;
  /** The server has said that it is over: what is left is on its way. */
  isOver: boolean;
}

const OVERDUE_MS = 300;
/** Until what is on its way has come: a replicated consumer sends it when most servers have noted it. */
const ON_ITS_WAY_MS = 1000;

export function createPull(id: number, { batch, maxBytes, expiresMs, silenceMs }: PullRequest): Pull {
  const now = performance.now();
  return {
    id,
    expiresMs,
    silenceMs,
    sentAt: now,
    heardAt: now,
    left: batch,
    bytesLeft: maxBytes,
    hasDelivered: false,
    isOver: false,
  };
}

/** One of its messages has come. */
export function countDelivered(pull: Pull, bytes: number): void {
  pull.hasDelivered = true;
  pull.bytesLeft -= bytes;
  // The server ends a pull whose bytes are used up exactly without a word.
  pull.left = pull.bytesLeft === 0 ? 0 : pull.left - 1;
}

/**
 * When nothing more can be expected of it, though the messages that are left have not come: on the clock of
 * `performance.now`, later with everything that is heard of it.
 */
export function givenUpAt({ sentAt, heardAt, expiresMs, silenceMs, isOver }: Pull): number {
  if (isOver) return heardAt + ON_ITS_WAY_MS;
  // Not even a heartbeat came; or its end was not told: nats-server 2.9.10 drops a pull without a word if a message finds it
  // run out.
  return Math.min(heardAt + silenceMs, sentAt + expiresMs + OVERDUE_MS);
}

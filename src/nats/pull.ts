// A pull that is out, and whether it is still worth waiting for.

export interface Pull {
  readonly id: number;
  readonly sentAt: number;
  readonly expiresMs: number;
  /** When anything came last, or the pull was sent; the one after an overdue pull takes its time over. */
  heardAt: number;
  left: number;
  hasDelivered: boolean;
}

const OVERDUE_MS = 200;

export function createPull(asked: {
  readonly id: number;
  readonly batch: number;
  readonly expiresMs: number;
  readonly heardAt: number;
}): Pull {
  const { batch, ...pull } = asked;
  return { ...pull, sentAt: performance.now(), left: batch, hasDelivered: false };
}

/** Its end should have been told: nats-server 2.9.10 drops a pull without a word if a message finds it run out. */
export function isOverdue({ sentAt, expiresMs }: Pull): boolean {
  return performance.now() - sentAt >= expiresMs + OVERDUE_MS;
}

export function isSilent({ heardAt }: Pull, { silenceMs }: { silenceMs: number }): boolean {
  return performance.now() - heardAt >= silenceMs;
}

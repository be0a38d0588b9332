// A pull that is out, and whether it is still worth waiting for.

export interface Pull {
  readonly id: number;
  readonly sentAt: number;
  readonly expiresMs: number;
  /** When anything came last, or the pull was sent. */
  heardAt: number;
  left: number;
  hasDelivered: boolean;
}

const OVERDUE_MS = 300;

export function createPull({ id, batch, expiresMs }: { id: number; batch: number; expiresMs: number }): Pull {
  const now = performance.now();
  return { id, expiresMs, sentAt: now, heardAt: now, left: batch, hasDelivered: false };
}

/** Its end should have been told: nats-server 2.9.10 drops a pull without a word if a message finds it run out. */
export function isOverdue({ sentAt, expiresMs }: Pull): boolean {
  return performance.now() - sentAt >= expiresMs + OVERDUE_MS;
}

/** Not even a heartbeat came. */
export function isSilent({ heardAt }: Pull, { silenceMs }: { silenceMs: number }): boolean {
  return performance.now() - heardAt >= silenceMs;
}

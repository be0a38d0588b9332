// A fixed number of places, given in the order of asking.

export interface Limiter {
  /**
   * Waits for a place. Resolves with true when it is taken: the caller owes one `release`. Resolves with false when
   * `signal` aborts first. Never rejects.
   */
  acquire: (signal: AbortSignal) => Promise<boolean>;
  release: () => void;
  readonly taken: number;
  readonly waiting: number;
}

interface Waiting {
  readonly signal: AbortSignal;
  readonly resolve: (isTaken: boolean) => void;
}

export function createLimiter(places: number): Limiter {
  let taken = 0;
  const queue = new Set<Waiting>();
  /** One listener for each signal, not for each wait: this is on the way of every message. */
  const watched = new WeakSet<AbortSignal>();

  function acquire(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (taken < places) {
      taken += 1;
      return Promise.resolve(true);
    }
    watch(signal);
    return new Promise((resolve) => queue.add({ signal, resolve }));
  }

  function watch(signal: AbortSignal): void {
    if (watched.has(signal)) return;
    watched.add(signal);
    signal.addEventListener("abort", () => giveUp(signal), { once: true });
  }

  function giveUp(signal: AbortSignal): void {
    for (const waiting of queue) {
      if (waiting.signal !== signal) continue;
      queue.delete(waiting);
      waiting.resolve(false);
    }
  }

  /** A place passes on to the next in line without becoming free in between. */
  function release(): void {
    const [next] = queue;
    if (next === undefined) {
      taken -= 1;
      return;
    }
    queue.delete(next);
    next.resolve(true);
  }

  return {
    acquire,
    release,
    get taken() {
      return taken;
    },
    get waiting() {
      return queue.size;
    },
  };
}

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

export function createLimiter(places: number): Limiter {
  let taken = 0;
  const queue = new Set<() => void>();

  function acquire(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (taken < places) {
      taken += 1;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const enter = () => {
        signal.removeEventListener("abort", onAbort);
        resolve(true);
      };
      const onAbort = () => {
        queue.delete(enter);
        resolve(false);
      };
      queue.add(enter);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** A place passes on to the next in line without becoming free in between. */
  function release(): void {
    const [next] = queue;
    if (next === undefined) {
      taken -= 1;
      return;
    }
    queue.delete(next);
    next();
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

// A fair semaphore: gives slots in the order of asking; with several queues, to each queue in turn.

export interface Limiter {
  /**
   * Waits for a place in `line` (default 0). Resolves with true when it is taken: the caller owes one `release`. Resolves
   * with false when `signal` aborts first. Never rejects.
   */
  acquire: (signal: AbortSignal, line?: number) => Promise<boolean>;
  /** The same without waiting: false where none is free. */
  tryAcquire: (line?: number) => boolean;
  release: () => void;
  /** `admit` may say otherwise now: gives what can be given. */
  retry: () => void;
  /** So many from now on; of more that are taken none is given again until there are fewer. */
  resize: (places: number) => void;
  readonly taken: number;
  readonly waiting: number;
}

interface Waiting {
  readonly signal: AbortSignal;
  readonly resolve: (isTaken: boolean) => void;
}

interface LimiterOptions {
  readonly lines?: number;
  /** Asked last, for each place that is free and wanted. False: it is not given before `retry`, or the next release. */
  readonly admit?: () => boolean;
}

export function createLimiter(
  initialPlaces: number,
  { lines = 1, admit = () => true }: LimiterOptions = {},
): Limiter {
  let places = initialPlaces;
  let taken = 0;
  const queues: Waiting[][] = Array.from({ length: lines }, () => []);
  /** The queue that was served last. */
  let lastServed = 0;
  /** One listener for each signal, not for each wait: this is on the path of every message. */
  const watched = new WeakSet<AbortSignal>();

  function acquire(signal: AbortSignal, line = 0): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (tryAcquire(line)) return Promise.resolve(true);
    watch(signal);
    return new Promise((resolve) => queues[line]?.push({ signal, resolve }));
  }

  function tryAcquire(line = 0): boolean {
    if (taken >= places || isAnyoneWaiting() || !admit()) return false;
    taken += 1;
    lastServed = line;
    return true;
  }

  function watch(signal: AbortSignal): void {
    if (watched.has(signal)) return;
    watched.add(signal);
    signal.addEventListener("abort", () => giveUp(signal), { once: true });
  }

  function giveUp(signal: AbortSignal): void {
    for (const [line, queue] of queues.entries()) {
      queues[line] = queue.filter((waiting) => waiting.signal !== signal);
      for (const waiting of queue) if (waiting.signal === signal) waiting.resolve(false);
    }
  }

  /** Hands the slot over directly, so that a newcomer cannot take it in between. */
  function passOn(): void {
    while (taken < places && isAnyoneWaiting() && admit()) {
      const next = takeNext();
      if (next === null) return;
      taken += 1;
      next.resolve(true);
    }
  }

  function isAnyoneWaiting(): boolean {
    return queues.some((queue) => queue.length > 0);
  }

  /** Of the queue whose turn it is; null: nobody waits. */
  function takeNext(): Waiting | null {
    for (let step = 1; step <= lines; step += 1) {
      const line = (lastServed + step) % lines;
      const next = queues[line]?.shift();
      if (next === undefined) continue;
      lastServed = line;
      return next;
    }
    return null;
  }

  return {
    acquire,
    tryAcquire,
    release() {
      if (taken === 0) throw new Error("No place is taken");
      taken -= 1;
      passOn();
    },
    retry: passOn,
    resize(next) {
      places = next;
      passOn();
    },
    get taken() {
      return taken;
    },
    get waiting() {
      return queues.reduce((sum, { length }) => sum + length, 0);
    },
  };
}

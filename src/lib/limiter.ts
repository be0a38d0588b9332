// A fair semaphore: gives slots in the order of asking; with several queues, to each queue in turn.

export interface Limiter {
  /**
   * Waits for a slot in the queue `line` (default 0). Resolves with true: the caller has it and owes one `release`. Resolves
   * with false when `signal` aborts first. Never rejects.
   */
  acquire: (signal: AbortSignal, line?: number) => Promise<boolean>;
  /** Takes a slot without waiting. False: none is free. */
  tryAcquire: (line?: number) => boolean;
  release: () => void;
  /** Asks `admit` again, and gives free slots to those that wait. */
  retry: () => void;
  /** Changes the number of slots. If more are taken, none is given until enough of them are released. */
  resize: (slots: number) => void;
  readonly taken: number;
  readonly waiting: number;
}

interface Waiting {
  readonly signal: AbortSignal;
  readonly resolve: (isTaken: boolean) => void;
}

interface LimiterOptions {
  readonly lines?: number;
  /** Asked before a free slot is given. False: not before `retry`, or the next release. */
  readonly admit?: () => boolean;
}

export function createLimiter(
  initialSlots: number,
  { lines = 1, admit = () => true }: LimiterOptions = {},
): Limiter {
  let slots = initialSlots;
  let taken = 0;
  const queues: Waiting[][] = Array.from({ length: lines }, () => []);
  /** The queue that got the last slot. */
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
    if (taken >= slots || isAnyoneWaiting() || !admit()) return false;
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
    while (taken < slots && isAnyoneWaiting() && admit()) {
      const next = takeNext();
      if (next === null) return;
      taken += 1;
      next.resolve(true);
    }
  }

  function isAnyoneWaiting(): boolean {
    return queues.some((queue) => queue.length > 0);
  }

  /** Takes the next waiting call, from the queue whose turn it is; null: nobody waits. */
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
      if (taken === 0) throw new Error("No slot is taken");
      taken -= 1;
      passOn();
    },
    retry: passOn,
    resize(next) {
      slots = next;
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

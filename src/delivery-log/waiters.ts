// Those who wait for the next record: woken all at once.

export type WaitEnd = "newer" | "aborted" | "closed";

export interface Waiters {
  readonly wait: (signal: AbortSignal) => Promise<WaitEnd>;
  wake: () => void;
  /** Nothing comes any more. */
  close: () => void;
}

export function createWaiters(): Waiters {
  const waiting = new Set<(how: WaitEnd) => void>();
  let isClosed = false;

  function endAll(how: WaitEnd): void {
    for (const end of waiting) end(how);
  }

  return {
    wait(signal) {
      if (isClosed) return Promise.resolve("closed");
      if (signal.aborted) return Promise.resolve("aborted");
      return new Promise((resolve) => {
        const end = (how: WaitEnd) => {
          signal.removeEventListener("abort", onAbort);
          waiting.delete(end);
          resolve(how);
        };
        const onAbort = () => end("aborted");
        signal.addEventListener("abort", onAbort);
        waiting.add(end);
      });
    },
    wake: () => endAll("newer"),
    close() {
      isClosed = true;
      endAll("closed");
    },
  };
}

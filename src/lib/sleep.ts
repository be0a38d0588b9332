// Waiting that ends early when it is told to.

/** Resolves after `delayMs`, or at once when `signal` aborts: then with false. Never rejects. */
export function sleep(delayMs: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const end = (isElapsed: boolean) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      resolve(isElapsed);
    };
    const onAbort = () => end(false);
    const timer = setTimeout(end, delayMs, true);
    signal.addEventListener("abort", onAbort);
  });
}

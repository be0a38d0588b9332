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

/** The longest that a timer can wait at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** Resolves at `time`, by the clock on the wall, or at once when `signal` aborts: then with false. Never rejects. */
export async function sleepUntil(time: Date, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    const delayMs = time.getTime() - Date.now();
    if (signal.aborted) return false;
    if (delayMs <= 0) return true;
    if (!(await sleep(Math.min(delayMs, MAX_TIMER_MS), signal))) return false;
  }
}

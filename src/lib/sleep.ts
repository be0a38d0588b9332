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

/** Timers do not see that the clock on the wall was set, as it is on a host that started without one. */
const LOOK_EVERY_MS = 10_000;

/** Resolves at `time`, by the clock on the wall, or at once when `signal` aborts: then with false. Never rejects. */
export async function sleepUntil(
  time: Date,
  signal: AbortSignal,
  { lookEveryMs = LOOK_EVERY_MS } = {},
): Promise<boolean> {
  for (;;) {
    const delayMs = time.getTime() - Date.now();
    if (signal.aborted) return false;
    if (delayMs <= 0) return true;
    if (!(await sleep(Math.min(delayMs, lookEveryMs), signal))) return false;
  }
}

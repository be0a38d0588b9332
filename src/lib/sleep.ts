// Sleeps until a delay or a time has passed, or a signal aborts.

/** Resolves after `delayMs` with true, or with false at once when `signal` aborts. Never rejects. */
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

/** Timers do not notice that the wall clock was set, as on a host that started without one. */
const LOOK_EVERY_MS = 10_000;

/** Resolves with true at `time` by the wall clock, or with false at once when `signal` aborts. Never rejects. */
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

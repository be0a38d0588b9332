// Adds a time limit to a wait that has none.

/** True if `promise` resolves within `limitMs`; false if it rejects, is late, or `signal` aborts. Never rejects. */
export function settlesWithin(
  promise: Promise<unknown>,
  limitMs: number,
  { signal }: { signal?: AbortSignal } = {},
): Promise<boolean> {
  if (signal?.aborted === true) {
    promise.catch(() => undefined);
    return Promise.resolve(false);
  }
  return new Promise((resolve) => {
    const end = (isSettled: boolean) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      resolve(isSettled);
    };
    const onAbort = () => end(false);
    const timer = setTimeout(end, limitMs, false);
    signal?.addEventListener("abort", onAbort);
    promise.then(
      () => end(true),
      () => end(false),
    );
  });
}

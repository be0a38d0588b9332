// Splits long computations into slices, so that the event loop can do other work in between.

/** The longest time that a slice blocks the event loop. */
const SLICE_MS = 8;
/** The pause between slices: computations get at most half of the time. */
const REST_MS = 8;

// Global, because all computations share one event loop.
let endsAt = 0;
let waiting = 0;
let last: Promise<void> = Promise.resolve();

/** Resolves at once during a slice, else at the beginning of the next one. Waiting calls take turns. */
export async function pause(): Promise<void> {
  const now = performance.now();
  if (now < endsAt) return;
  if (waiting === 0 && now >= endsAt + REST_MS) {
    endsAt = now + SLICE_MS;
    return;
  }
  waiting += 1;
  last = last.then(rest);
  await last;
  waiting -= 1;
  endsAt = performance.now() + SLICE_MS;
}

/** Waits until `REST_MS` after the end of the present slice. */
function rest(): Promise<void> {
  const delayMs = endsAt + REST_MS - performance.now();
  return new Promise((resolve) => void setTimeout(resolve, Math.max(1, delayMs)));
}

// Splits long computations into slices, so that the event loop can do other work in between.

/** How long a slice may block the loop. */
const SLICE_MS = 8;
/** The same time again for everything else: computations get half of the time at most. */
const REST_MS = 8;

// One sequence of slices for all computations: there is one event loop.
let endsAt = 0;
let waiting = 0;
let last: Promise<void> = Promise.resolve();

/** Resolves at once during a slice, else when the next one begins: in turn with other waits. */
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

/** After the slice that has just begun, or is over. */
function rest(): Promise<void> {
  const delayMs = endsAt + REST_MS - performance.now();
  return new Promise((resolve) => void setTimeout(resolve, Math.max(1, delayMs)));
}

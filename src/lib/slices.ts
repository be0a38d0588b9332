// Long computations in slices: between two of them the event loop gets to its other work.

/** How long a slice may keep the loop. */
const SLICE_MS = 8;
/** As long again for all others: whatever is computed takes half of the time at the most. */
const REST_MS = 8;

// The slices of all computations are one sequence: the loop is one, too.
let endsAt = 0;
let waiting = 0;
let last: Promise<void> = Promise.resolve();

/** Resolves at once while the slice lasts, else when the next one begins: in turn with others that wait. */
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

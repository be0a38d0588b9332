// Decides which messages of a subscription are recorded.

import type { Sampling } from "#delivery/record.ts";

/** Call it once for each message. True: record the message. */
export type Sampler = () => boolean;

/** The sampler runs on the hot path. `now`: monotonic milliseconds. `random`: from 0 up to, but excluding, 1. */
export function createSampler(
  sampling: Sampling,
  { now, random }: { readonly now: () => number; readonly random: () => number },
): Sampler {
  switch (sampling.kind) {
    case "all":
      return () => true;
    case "count":
      return createCount(sampling.every);
    case "probability":
      return () => random() < sampling.share;
    case "temporal":
      return createWindow({ count: 1, windowMs: sampling.everyMs }, now);
    case "windowed-count":
      return createWindow(sampling, now);
  }
}

function createCount(every: number): Sampler {
  let passed = every - 1;
  return () => {
    passed += 1;
    if (passed < every) return false;
    passed = 0;
    return true;
  };
}

/** A window begins with the first message after the end of the previous window. */
function createWindow({ count, windowMs }: { count: number; windowMs: number }, now: () => number): Sampler {
  let endsAt = -Infinity;
  let taken = 0;
  return () => {
    const at = now();
    if (at >= endsAt) {
      endsAt = at + windowMs;
      taken = 0;
    }
    taken += 1;
    return taken <= count;
  };
}

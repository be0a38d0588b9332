// Counts deliveries and failures in each minute of the last hour, in two ring buffers.

import { MINUTES } from "#wire/status.ts";

interface MinuteCounts {
  /** Both kinds, over the last minute; since the first one where that is younger. */
  readonly perSecond: number;
  /** Oldest first, the running minute last. */
  readonly delivered: readonly number[];
  readonly failed: readonly number[];
}

export interface Minutes {
  readonly add: (kind: "delivered" | "failed") => void;
  readonly read: () => MinuteCounts;
}

const MINUTE_MS = 60_000;

export function createMinutes(now: () => number): Minutes {
  const rings = { delivered: new Uint32Array(MINUTES), failed: new Uint32Array(MINUTES) };
  const bornAt = now();
  let current = Math.floor(bornAt / MINUTE_MS);

  /** A clock that was set back counts on in the minute it knows. */
  function turn(time: number): void {
    const minute = Math.floor(time / MINUTE_MS);
    const passed = Math.min(minute - current, MINUTES);
    for (let step = 1; step <= passed; step += 1) {
      for (const ring of Object.values(rings)) ring[(current + step) % MINUTES] = 0;
    }
    current = Math.max(current, minute);
  }

  function inOrder(ring: Uint32Array): readonly number[] {
    const first = (current + 1) % MINUTES;
    return [...ring.subarray(first), ...ring.subarray(0, first)];
  }

  return {
    add(kind) {
      turn(now());
      const ring = rings[kind];
      const index = current % MINUTES;
      ring[index] = (ring[index] ?? 0) + 1;
    },
    read() {
      const time = now();
      turn(time);
      const delivered = inOrder(rings.delivered);
      const failed = inOrder(rings.failed);
      const countOf = (back: number) => (delivered.at(-back) ?? 0) + (failed.at(-back) ?? 0);
      const elapsedMs = Math.min(MINUTE_MS, Math.max(0, time - current * MINUTE_MS));
      const inLastMinute = countOf(1) + countOf(2) * (1 - elapsedMs / MINUTE_MS);
      const seconds = Math.min(MINUTE_MS, Math.max(1000, time - bornAt)) / 1000;
      return { perSecond: Math.round((inLastMinute / seconds) * 100) / 100, delivered, failed };
    },
  };
}

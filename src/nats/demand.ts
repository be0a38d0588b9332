// How much room a pump has: places, and bytes that messages of the usual size would take.

export interface Demand {
  /** A message of `bytes` has come and is held. */
  take: (bytes: number) => void;
  release: () => void;
  setCapacity: (capacity: number) => void;
  /** How many more may be asked for. */
  room: () => number;
  /** True if so much is free that waiting for more is not worth it. */
  isWorthwhile: () => boolean;
  readonly held: number;
  readonly capacity: number;
}

/** What the held messages of one subscription may take in memory, about: their sizes are averaged. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
const AVERAGE_WEIGHT = 0.2;

export function createDemand(initialCapacity: number): Demand {
  let capacity = initialCapacity;
  let held = 0;
  let averageBytes = 0;

  function room(): number {
    const most = averageBytes === 0 ? capacity : Math.min(capacity, MAX_HELD_BYTES / averageBytes);
    const atLeast = held === 0 && capacity > 0 ? 1 : 0;
    return Math.max(atLeast, Math.floor(most) - held);
  }

  return {
    take: (bytes) => {
      held += 1;
      averageBytes += (bytes - averageBytes) * AVERAGE_WEIGHT;
    },
    release: () => {
      held = Math.max(0, held - 1);
    },
    setCapacity: (next) => {
      capacity = next;
    },
    room,
    isWorthwhile: () => room() >= Math.max(1, Math.floor(capacity / 2)),
    get held() {
      return held;
    },
    get capacity() {
      return capacity;
    },
  };
}

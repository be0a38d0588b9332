// How many messages a pump may ask for: places that are free, and bytes that messages of the usual size would take.

export interface Capacity {
  /** So many are held. */
  readonly usual: number;
  /** So many at most where a pull takes longer to be answered than what is held takes to be done with: NATS is far away. */
  readonly most: number;
}

interface Taken {
  readonly bytes: number;
  /** So many more the consumer has. */
  readonly pending: number;
  /** So long its pull waited for it; null: it was not the first of its pull. */
  readonly waitedMs: number | null;
}

interface Credit {
  /** A message has come and is held. */
  take: (message: Taken) => void;
  release: () => void;
  setCapacity: (capacity: Capacity) => void;
  /** How many more may be asked for. */
  room: () => number;
  /** True if so much is free that waiting for more is not worth it. */
  isWorthwhile: () => boolean;
  readonly held: number;
  /** How many may be held just now. */
  readonly window: number;
}

/** What the held messages of one subscription may take in memory, about: their sizes are averaged. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
const AVERAGE_WEIGHT = 0.2;
const SHRINK = 0.9;
/** NATS is far away if pulls wait so long, so often in a row, while there is nothing left to do. */
const FAR_MS = 20;
const FAR_PULLS = 3;

/** `held`: so many are held already. */
export function createCredit(options: { readonly capacity: Capacity; readonly held: number }): Credit {
  let { capacity, held } = options;
  /** How many times the usual capacity may be held. */
  let ahead = 1;
  let starvedInARow = 0;
  let averageBytes = 0;

  function window(): number {
    return Math.min(capacity.most, Math.floor(capacity.usual * ahead));
  }

  function room(): number {
    const most = averageBytes === 0 ? window() : Math.min(window(), MAX_HELD_BYTES / averageBytes);
    const atLeast = held === 0 && capacity.usual > 0 ? 1 : 0;
    return Math.max(atLeast, Math.floor(most) - held);
  }

  /** What is held beyond the usual is sent, or lost, after an interruption and in a crash: near by it is not worth that. */
  function adapt(waitedMs: number, pending: number): void {
    const isStarved = held === 0 && pending > 0 && waitedMs >= FAR_MS;
    starvedInARow = isStarved ? starvedInARow + 1 : 0;
    if (starvedInARow >= FAR_PULLS && window() < capacity.most) ahead *= 2;
    else if (held > capacity.usual || waitedMs < FAR_MS) ahead = Math.max(1, ahead * SHRINK);
  }

  return {
    take({ bytes, pending, waitedMs }) {
      if (waitedMs !== null) adapt(waitedMs, pending);
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
    isWorthwhile: () => room() >= Math.max(1, Math.floor(window() / 2)),
    get held() {
      return held;
    },
    get window() {
      return window();
    },
  };
}

// How many messages a pump may ask for: places that are free, and bytes that messages of the usual size would take.

export interface Capacity {
  /** So many are held. */
  readonly usual: number;
  /** So many at most where a pull takes longer to be answered than what is held takes to be done with: NATS is far away. */
  readonly most: number;
}

export interface Credit {
  /** A message of `bytes` has come and is held; `isFirst`: of its pull; `pending`: how many more the consumer has. */
  take: (message: { readonly bytes: number; readonly isFirst: boolean; readonly pending: number }) => void;
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

/** `held`: so many are held already. */
export function createCredit(options: { readonly capacity: Capacity; readonly held: number }): Credit {
  let { capacity, held } = options;
  /** How many times the usual capacity may be held. */
  let ahead = 1;
  let averageBytes = 0;

  function window(): number {
    return Math.min(capacity.most, Math.floor(capacity.usual * ahead));
  }

  function room(): number {
    const most = averageBytes === 0 ? window() : Math.min(window(), MAX_HELD_BYTES / averageBytes);
    const atLeast = held === 0 && capacity.usual > 0 ? 1 : 0;
    return Math.max(atLeast, Math.floor(most) - held);
  }

  /** When the first message of a pull comes: nothing was left to do meanwhile, or more than can be done at a time. */
  function adapt(pending: number): void {
    if (held === 0 && pending > 0 && window() < capacity.most) ahead *= 2;
    else if (held > capacity.usual) ahead = Math.max(1, ahead * SHRINK);
  }

  return {
    take({ bytes, isFirst, pending }) {
      if (isFirst) adapt(pending);
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

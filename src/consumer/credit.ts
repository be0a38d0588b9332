// Credit of a pump: how many more messages it may ask for, by free slots and by the average size of messages.

export interface Capacity {
  /** Messages held normally. */
  readonly usual: number;
  /** Upper limit if NATS is far away: a pull takes longer than the work on the held messages. */
  readonly most: number;
}

/** What may be asked for. `bytes` 0: one message, however large. */
export interface Room {
  readonly messages: number;
  readonly bytes: number;
}

interface Taken {
  readonly bytes: number;
  /** Messages left in the consumer. */
  readonly pending: number;
  /** How long its pull waited for it; null: it was not the first message of its pull. */
  readonly waitedMs: number | null;
}

interface Credit {
  /** Counts a message that came and is held. */
  take: (message: Taken) => void;
  release: () => void;
  setCapacity: (capacity: Capacity) => void;
  /** How much more to ask for. */
  room: () => Room;
  /** True if enough is free to pull at once. */
  isWorthwhile: () => boolean;
  readonly held: number;
  /** How many messages may be held now. */
  readonly window: number;
}

/** Memory for the held messages of one subscription, approximately: by average size. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;
const AVERAGE_WEIGHT = 0.2;
const SHRINK = 0.9;
/** NATS is far away if this many pulls in a row waited this long while no message was held. */
const FAR_MS = 20;
const FAR_PULLS = 3;

interface CreditOptions {
  readonly capacity: Capacity;
  /** Number of messages held already. */
  readonly held: number;
  /** What the owner has room for if so many messages may be held; absent: by number and average size. */
  readonly room?: ((limit: number) => Room) | undefined;
}

export function createCredit(options: CreditOptions): Credit {
  let { capacity, held } = options;
  /** Factor on the usual capacity. */
  let ahead = 1;
  let starvedInARow = 0;
  let averageBytes = 0;

  function window(): number {
    return Math.min(capacity.most, Math.floor(capacity.usual * ahead));
  }

  function room(): Room {
    if (options.room !== undefined) return options.room(window());
    const most = averageBytes === 0 ? window() : Math.min(window(), MAX_HELD_BYTES / averageBytes);
    const atLeast = held === 0 && capacity.usual > 0 ? 1 : 0;
    return { messages: Math.max(atLeast, Math.floor(most) - held), bytes: Number.POSITIVE_INFINITY };
  }

  /** Raises `ahead` only if NATS is far away: extra held messages are sent or lost after an interruption or a crash. */
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
    isWorthwhile: () => room().messages >= Math.max(1, Math.floor(window() / 2)),
    get held() {
      return held;
    },
    get window() {
      return window();
    },
  };
}

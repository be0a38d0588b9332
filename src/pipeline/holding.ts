// Holds the messages of a subscription that keeps no order: each is delivered as soon as there is a slot.

import type { Received } from "#consumer/received.ts";
import { createSlab } from "#lib/slab.ts";
import type { Deliver } from "./deliver.ts";
import type { Ending } from "./observer.ts";
import type { Held } from "./settle.ts";

export interface Entry extends Held {
  readonly receivedAt: number;
}

/** What a pipeline holds, and the order in which that is delivered. */
export interface Holding {
  /** True: the message was held already, and its newer delivery is answered from now on. */
  renew: (received: Received) => boolean;
  /** Delivers it when its turn comes. */
  add: (entry: Entry) => void;
  /** A delivery that is not held: it has ended at once. */
  pass: (received: Received) => void;
  entries: () => Iterable<Entry>;
  readonly size: number;
}

export interface HoldingOptions {
  readonly deliver: Deliver;
  /** It is not held any more. */
  readonly onEnded: (entry: Entry, ending: Ending) => void;
  /** A bug. */
  readonly onError: (entry: Entry, error: unknown) => Ending;
}

export function createHolding({ deliver, onEnded, onError }: HoldingOptions): Holding {
  const held = createSlab<Entry>();
  /** By sequence, the entry of its newest message. */
  const newest = new Map<number, number>();

  function finish(entry: Entry, { place, ending }: { place: number; ending: Ending }): void {
    const { sequence } = entry.received.message;
    held.remove(place);
    if (newest.get(sequence) === place) newest.delete(sequence);
    onEnded(entry, ending);
  }

  return {
    renew(received) {
      const { sequence, timestampNanos } = received.message;
      const place = newest.get(sequence);
      const known = place === undefined ? undefined : held.get(place);
      if (known === undefined) return false;
      const isSame = known.received.message.timestampNanos === timestampNanos;
      if (isSame) known.received = received;
      // A recreated stream reuses sequences: an answer for the old message would settle this one.
      else known.isRedeliverable = false;
      return isSame;
    },
    add(entry) {
      const place = held.add(entry);
      newest.set(entry.received.message.sequence, place);
      void deliver.run(entry).then(
        (ending) => finish(entry, { place, ending }),
        (error: unknown) => finish(entry, { place, ending: onError(entry, error) }),
      );
    },
    pass: () => undefined,
    entries: () => held,
    get size() {
      return held.size;
    },
  };
}

// The place of a subscription in its stream: a seek moves it, here or in another relay, and what was done before may come again.

import type { DeliverPolicy } from "#delivery/subscription.ts";
import { sleep } from "#lib/sleep.ts";
import type { AlignedConsumer } from "#nats/consumer.ts";
import type { Guard } from "#pipeline/guard.ts";
import type { StatusCell } from "./states.ts";

export interface Place {
  /** Another relay has moved it. */
  readonly isMovedElsewhere: boolean;
  /** From now on it is known here where it was moved last. */
  adopt: () => void;
  /** To be called while nothing is held. Rejects with a RelayError. */
  move: (start: DeliverPolicy, guard: Guard) => Promise<void>;
}

export interface PlaceOptions {
  readonly status: Pick<StatusCell, "place" | "moved">;
  /** Makes the consumer anew at another place. Rejects with a RelayError. */
  readonly moveConsumer: (start: DeliverPolicy) => Promise<AlignedConsumer>;
  readonly signal: AbortSignal;
}

/** The other relays have heard of a seek by then. */
const NOTICE_MS = 300;

export function createPlace({ status, moveConsumer, signal }: PlaceOptions): Place {
  /** The last seek that the guard knows of. */
  let known: string | null = null;

  function tell(): void {
    known = crypto.randomUUID();
    status.moved(known);
  }

  return {
    get isMovedElsewhere() {
      return status.place !== null && status.place !== known;
    },
    adopt() {
      known = status.place;
    },
    async move(start, guard) {
      // Before too: what another relay did until then it would take for done, and acknowledge unsent.
      tell();
      await sleep(NOTICE_MS, signal);
      const moved = await moveConsumer(start);
      await guard.forget();
      await guard.align(moved);
      tell();
    },
  };
}

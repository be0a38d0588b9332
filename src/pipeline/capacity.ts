// How many messages the pump may ask for.

import { concurrencyOf, type Subscription } from "#delivery/subscription.ts";
import type { Capacity } from "#consumer/credit.ts";

/**
 * How many times the connection limit is held: under AUTO always, so that waiting retries do not stop the rest; under NONE
 * at most, where NATS is so far away that the callback would wait for it.
 */
const HELD_FACTOR = 10;
/** Under AT_LEAST_ONCE the server delivers one at a time: asking for more than one only saves asking for each. */
const AT_LEAST_ONCE_PULL = 100;

/** The server delivers the next one once the one before is acknowledged: its connection is opened while that one is in flight. */
const AT_MOST_ONCE_HELD = 2;

export function capacityOf(subscription: Subscription): Capacity {
  const places = concurrencyOf(subscription);
  switch (subscription.qos) {
    case "AUTO":
      return exactly(places * HELD_FACTOR);
    case "AT_LEAST_ONCE":
      return exactly(AT_LEAST_ONCE_PULL);
    case "AT_MOST_ONCE":
      return exactly(AT_MOST_ONCE_HELD);
    case "NONE":
      return { usual: places, most: places * HELD_FACTOR };
  }
}

export function exactly(count: number): Capacity {
  return { usual: count, most: count };
}

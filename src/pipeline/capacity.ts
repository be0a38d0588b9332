// How many messages the pump may ask for.

import { concurrencyOf, type Subscription } from "#delivery/subscription.ts";

/** How many times the connection limit is held under AUTO, so that waiting retries do not stop the rest. */
const AUTO_HELD_FACTOR = 10;
/** Under AT_LEAST_ONCE the server delivers one at a time: asking for more than one only saves asking for each. */
const AT_LEAST_ONCE_PULL = 100;

export function capacityOf(subscription: Subscription): number {
  switch (subscription.qos) {
    case "AUTO":
      return concurrencyOf(subscription) * AUTO_HELD_FACTOR;
    case "AT_LEAST_ONCE":
      return AT_LEAST_ONCE_PULL;
    case "AT_MOST_ONCE":
    case "NONE":
      return concurrencyOf(subscription);
  }
}

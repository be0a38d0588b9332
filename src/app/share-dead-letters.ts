// Subscriptions with the same dead-letter endpoints share what stores into them.

import type { Subscription } from "#delivery/subscription.ts";
import type { DeadLetters } from "#nats/dead-letters.ts";

export interface SharedDeadLetters {
  of: (subscription: Subscription) => DeadLetters | null;
  all: () => readonly DeadLetters[];
}

export function shareDeadLetters(
  open: (endpoints: Subscription["deadLetters"]) => DeadLetters,
): SharedDeadLetters {
  const shared = new Map<string, DeadLetters>();
  return {
    of({ deadLetters: endpoints }) {
      if (endpoints.length === 0) return null;
      const key = JSON.stringify(endpoints);
      const known = shared.get(key) ?? open(endpoints);
      shared.set(key, known);
      return known;
    },
    all: () => [...shared.values()],
  };
}

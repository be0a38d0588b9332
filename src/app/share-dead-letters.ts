// Subscriptions with the same dead-letter endpoints share what stores into them.

import type { Subscription } from "#delivery/subscription.ts";
import type { DeadLetters } from "#letters/store.ts";

export interface SharedDeadLetters {
  of: (subscription: Subscription) => DeadLetters | null;
  /** What these have; anything else is forgotten. The same list has the same. */
  inUse: (subscriptions: readonly Subscription[]) => readonly DeadLetters[];
}

export function shareDeadLetters(
  open: (endpoints: Subscription["deadLetters"]) => DeadLetters,
): SharedDeadLetters {
  const shared = new Map<string, DeadLetters>();
  let known: readonly Subscription[] = [];

  return {
    of({ deadLetters: endpoints }) {
      if (endpoints.length === 0) return null;
      const key = keyOf(endpoints);
      const known = shared.get(key) ?? open(endpoints);
      shared.set(key, known);
      return known;
    },
    inUse(subscriptions) {
      if (subscriptions !== known) {
        const keys = new Set(subscriptions.map(({ deadLetters }) => keyOf(deadLetters)));
        for (const key of shared.keys()) if (!keys.has(key)) shared.delete(key);
        known = subscriptions;
      }
      return [...shared.values()];
    },
  };
}

function keyOf(endpoints: Subscription["deadLetters"]): string {
  return JSON.stringify(endpoints);
}

/** `current`: where they go now; null: nowhere any more, and what is left goes where it began. */
export function followDeadLetters(first: DeadLetters, current: () => DeadLetters | null): DeadLetters {
  const now = () => current() ?? first;
  return {
    store: (letter, signal) => now().store(letter, signal),
    has: (letter, signal) => now().has(letter, signal),
    check: (signal) => now().check(signal),
  };
}

// Shares one dead-letter store between subscriptions with the same endpoints, and follows changes of the endpoints.

import type { Subscription } from "#delivery/subscription.ts";
import type { DeadLetters } from "#letters/store.ts";

export interface SharedDeadLetters {
  of: (subscription: Subscription) => DeadLetters | null;
  /** Keeps the stores of these subscriptions and forgets the others. Equal lists share a store. */
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

/** `current`: the store now; null: there is none any more, so remaining letters go to the first one. */
export function followDeadLetters(first: DeadLetters, current: () => DeadLetters | null): DeadLetters {
  const now = () => current() ?? first;
  return {
    store: (letter, signal) => now().store(letter, signal),
    has: (letter, signal) => now().has(letter, signal),
    check: (signal) => now().check(signal),
  };
}

// Dead letters go where the config says at the time they are stored: what waits for an endpoint finds the one in its place.

import type { DeadLetters } from "#nats/dead-letters.ts";

/** `current`: where they go now; null: nowhere any more, and what is left goes where it began. */
export function followDeadLetters(first: DeadLetters, current: () => DeadLetters | null): DeadLetters {
  const now = () => current() ?? first;
  return {
    store: (letter, signal) => now().store(letter, signal),
    has: (letter, signal) => now().has(letter, signal),
    check: (signal) => now().check(signal),
  };
}

// Where a replay looks for letters, and which it must not send again.

import type { ReplayRequest } from "#delivery/replay.ts";
import type { DeadLetterEndpoint } from "#delivery/subscription.ts";
import type { Runtime } from "./runtime.ts";

const MAX_DELIVERED = 65_536;

/** Those of the subscription that it is about, else all; each once. */
export function endpointsFor(
  { filter }: ReplayRequest,
  { find, all }: { find: Runtime["find"]; all: readonly DeadLetterEndpoint[] },
): readonly DeadLetterEndpoint[] {
  const only = filter.subscription === null ? null : find(filter.subscription);
  const distinct = new Map<string, DeadLetterEndpoint>();
  for (const endpoint of only?.subscription.deadLetters ?? all) {
    const key = JSON.stringify([endpoint.domain, endpoint.stream, endpoint.subject]);
    if (!distinct.has(key)) distinct.set(key, endpoint);
  }
  return [...distinct.values()];
}

/** The newest of what was delivered, for as long as the relay runs: a server that is killed may forget what was removed. */
export function createDelivered(): { has: (key: string) => boolean; add: (key: string) => void } {
  const keys = new Set<string>();
  return {
    has: (key) => keys.has(key),
    add(key) {
      keys.add(key);
      const [oldest] = keys;
      if (keys.size > MAX_DELIVERED && oldest !== undefined) keys.delete(oldest);
    },
  };
}

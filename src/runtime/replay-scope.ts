// Where a replay looks for letters.

import type { ReplayRequest } from "#delivery/replay.ts";
import type { DeadLetterEndpoint } from "#delivery/subscription.ts";
import type { Runtime } from "./runtime.ts";

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

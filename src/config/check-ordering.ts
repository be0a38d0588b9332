// Checks `ordering` beyond its schema: it needs a quality of service that keeps an order.

import type { Qos } from "#delivery/policy.ts";
import { isOrdered } from "#delivery/subscription.ts";
import type { Fault, Path } from "#schema/issue.ts";

interface OrderingPart {
  readonly key?: string | undefined;
  readonly onFailure?: string | undefined;
}

/** `ordering` undefined: it is not set, or has a fault that is reported already. */
export function checkOrdering(
  ordering: OrderingPart | undefined,
  { qos, path }: { qos: Qos | undefined; path: Path },
): Fault[] {
  if (ordering === undefined) return [];
  const allowed = "allowed under AT_LEAST_ONCE and AT_MOST_ONCE only";
  if (qos !== undefined && !isOrdered(qos)) return [{ path, message: `${allowed}, found qos ${qos}` }];
  if (ordering.onFailure !== "key" || "key" in ordering) return [];
  return [
    { path: [...path, "onFailure"], message: 'found "key" without ordering.key, allowed: subscription' },
  ];
}

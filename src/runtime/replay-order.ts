// Letters of an ordered subscription go one after the other, retries included; those of the others at once.

import { isOrdered, type Subscription } from "#delivery/subscription.ts";
import { createLimiter, type Limiter } from "#lib/limiter.ts";

/** Waits until the next one may go; who goes releases. Null: `signal` aborted. */
export function createOrder(
  signal: AbortSignal,
): (subscription: Subscription) => Promise<{ readonly release: () => void } | null> {
  const lines = new Map<string, Limiter>();
  return async ({ id, qos }) => {
    if (!isOrdered(qos)) return { release: () => undefined };
    const line = lines.get(id) ?? createLimiter(1);
    lines.set(id, line);
    return (await line.acquire(signal)) ? line : null;
  };
}

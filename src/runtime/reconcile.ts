// Plans which subscriptions to start, stop, update and replace, from the running and the wanted ones. PURE.

import { isDeepStrictEqual } from "node:util";
import type { Subscription } from "#delivery/subscription.ts";

export interface Plan {
  readonly stop: readonly string[];
  readonly start: readonly Subscription[];
  /** Gets new terms while it keeps consuming. */
  readonly update: readonly Subscription[];
  /** Drained, then started again. */
  readonly replace: readonly Subscription[];
  readonly keep: readonly string[];
}

export function reconcile(running: readonly Subscription[], wanted: readonly Subscription[]): Plan {
  const known = new Map(running.map((subscription) => [subscription.id, subscription]));
  const wantedIds = new Set(wanted.map(({ id }) => id));
  const changed = { none: [], new: [], terms: [], consuming: [] } as Record<Change, Subscription[]>;
  for (const subscription of wanted) {
    changed[changeOf(known.get(subscription.id), subscription)].push(subscription);
  }
  return {
    stop: running.map(({ id }) => id).filter((id) => !wantedIds.has(id)),
    start: changed.new,
    update: changed.terms,
    replace: changed.consuming,
    keep: changed.none.map(({ id }) => id),
  };
}

type Change = "none" | "new" | "terms" | "consuming";

function changeOf(former: Subscription | undefined, next: Subscription): Change {
  if (former === undefined) return "new";
  if (isDeepStrictEqual(former, next)) return "none";
  return isDeepStrictEqual(consumingOf(former), consumingOf(next)) ? "terms" : "consuming";
}

/** Everything but the delivery terms. The dead-letter endpoints are terms; whether there are any is not. */
function consumingOf(subscription: Subscription): unknown {
  const {
    callback: _callback,
    shape: _shape,
    metadata: _metadata,
    retry: _retry,
    rateLimit: _rateLimit,
    maxAgeMs: _maxAgeMs,
    resume: _resume,
    replay: _replay,
    recording: _recording,
    interruptOnServerError: _server,
    interruptOnException: _exception,
    application: _application,
    isPaused: _isPaused,
    deadLetters,
    ...consuming
  } = subscription;
  return { ...consuming, hasDeadLetters: deadLetters.length > 0 };
}

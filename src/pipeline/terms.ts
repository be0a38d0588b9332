// The current terms of delivery, which a reload may change: an attempt ends on the terms it began with.

import type { Callback } from "#callback/client.ts";
import type { Policy } from "#delivery/policy.ts";
import type { Subscription } from "#delivery/subscription.ts";
import { createShaper, type Shaper } from "#shape/shaper.ts";

export interface Terms {
  readonly subscription: Subscription;
  readonly callback: Callback;
  readonly policy: Policy;
  readonly shaper: Shaper;
}

export interface TermsHolder {
  readonly current: Terms;
  /** Takes the current terms for one attempt; `end` gives them back. */
  begin: () => Terms;
  end: (terms: Terms) => void;
  /** Takes the current terms while `run` goes on. */
  use: <Result>(run: (terms: Terms) => Promise<Result>) => Promise<Result>;
  /** Used from the next attempt on; the old callback closes after its last attempt. */
  replace: (subscription: Subscription) => void;
  /** Closes the callbacks of the current and former terms; requests in flight have `graceMs`. */
  close: (graceMs: number) => Promise<void>;
}

interface Generation extends Terms {
  attempts: number;
}

export function createTerms(
  subscription: Subscription,
  {
    openCallback,
    hasDeadLetters,
  }: { openCallback: (subscription: Subscription) => Callback; hasDeadLetters: boolean },
): TermsHolder {
  const retired = new Set<Generation>();
  let current = toGeneration(subscription);

  function toGeneration(wanted: Subscription): Generation {
    return {
      subscription: wanted,
      callback: openCallback(wanted),
      policy: { ...wanted, hasDeadLetters },
      shaper: createShaper(wanted.shape, {
        subscription: wanted.id,
        application: wanted.application,
        metadata: wanted.metadata,
      }),
      attempts: 0,
    };
  }

  function closeUnused(generation: Generation): void {
    if (generation.attempts > 0) return;
    retired.delete(generation);
    void generation.callback.close(0); // Nothing is in flight; never rejects.
  }

  function end(terms: Terms): void {
    const generation = terms as Generation;
    if (generation.attempts === 0) throw new Error("No attempt is under way on these terms");
    generation.attempts -= 1;
    if (generation !== current) closeUnused(generation);
  }

  function begin(): Terms {
    current.attempts += 1;
    return current;
  }

  return {
    get current() {
      return current;
    },
    begin,
    end,
    async use(run) {
      const own = begin();
      try {
        return await run(own);
      } finally {
        end(own);
      }
    },
    replace(next) {
      const former = current;
      current = toGeneration(next);
      retired.add(former);
      closeUnused(former);
    },
    async close(graceMs) {
      await Promise.all([...retired, current].map(({ callback }) => callback.close(graceMs)));
    },
  };
}

// How many subscriptions the API makes: of one application, and in all. Pure.

import type { Subscription } from "#delivery/subscription.ts";

const MAX_OF_APPLICATION = 1000;
const MAX_IN_ALL = 10_000;

type Owned = Pick<Subscription, "id" | "application">;

export interface Made {
  /** Those that run here, by id. */
  readonly known: ReadonlyMap<string, { readonly subscription: Owned }>;
  /** Those that cannot run here, but are kept all the same. */
  readonly unusable: { readonly size: number; readonly has: (id: string) => boolean };
}

/** Why `wanted` is one too many beside what was made; null: it is not. */
export function findExcess(wanted: Owned, { known, unusable }: Made): string | null {
  const former = known.get(wanted.id)?.subscription;
  const isNew = former === undefined && !unusable.has(wanted.id);
  if (isNew && known.size + unusable.size >= MAX_IN_ALL) {
    return `there are ${MAX_IN_ALL} subscriptions made by API, allowed: no more`;
  }
  const { application } = wanted;
  if (application === null || former?.application === application) return null;
  let others = 0;
  for (const { subscription } of known.values()) if (subscription.application === application) others += 1;
  if (others < MAX_OF_APPLICATION) return null;
  return `application ${application} has ${MAX_OF_APPLICATION} subscriptions made by API, allowed: no more`;
}

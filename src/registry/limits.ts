// Limits how many subscriptions the API makes: for one application, and in all. PURE.

import type { Subscription } from "#delivery/subscription.ts";

const MAX_OF_APPLICATION = 1000;
const MAX_IN_ALL = 10_000;

type Owned = Pick<Subscription, "id" | "application">;

export interface Made {
  /** Those that run here, by id. */
  readonly known: ReadonlyMap<string, { readonly subscription: Owned }>;
  /** Those that cannot run here but are stored. */
  readonly unusable: { readonly size: number; readonly has: (id: string) => boolean };
}

interface Admission extends Disposable {
  /** Why it is one too many; null: it is admitted, and counts until it is disposed of. */
  readonly excess: string | null;
}

/** Also counts writes in progress: they appear in `made` only later, and others may be admitted meanwhile. */
export function createAdmissions({ known, unusable }: Made): (wanted: Owned) => Admission {
  const pending = new Set<Owned>();
  const isMade = (id: string) => known.has(id) || unusable.has(id);
  const applicationOf = (id: string) => known.get(id)?.subscription.application;

  function countPending(wanted: Owned, isCounted: (owned: Owned) => boolean): number {
    const others = [...pending].filter((owned) => owned.id !== wanted.id && isCounted(owned));
    return new Set(others.map(({ id }) => id)).size;
  }

  function findExcess(wanted: Owned): string | null {
    const { id, application } = wanted;
    if (!isMade(id)) {
      const others = known.size + unusable.size + countPending(wanted, (owned) => !isMade(owned.id));
      if (others >= MAX_IN_ALL) return `there are ${MAX_IN_ALL} subscriptions made by API, the maximum`;
    }
    if (application === null || applicationOf(id) === application) return null;
    let others = countPending(
      wanted,
      (owned) => owned.application === application && applicationOf(owned.id) !== application,
    );
    for (const { subscription } of known.values()) if (subscription.application === application) others += 1;
    if (others < MAX_OF_APPLICATION) return null;
    return `application ${application} has ${MAX_OF_APPLICATION} subscriptions made by API, the maximum`;
  }

  return (wanted) => {
    const excess = findExcess(wanted);
    const own = { ...wanted };
    if (excess === null) pending.add(own);
    return { excess, [Symbol.dispose]: () => void pending.delete(own) };
  };
}

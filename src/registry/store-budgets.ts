// Limits the cost of key stores of subscriptions made by API: for one subscription, one application, and all.
//
// Each start reads all stored ones again, so stored subscriptions count, writes in progress count, and, so that refused ones
// are not free, recent work for a caller counts too.

import { createIterationBudget, type IterationBudget, limitTo } from "#keystore/budget.ts";

interface StoreBudgets {
  /** For a subscription that is created or replaced; it counts until it is disposed of. */
  readonly openForWrite: (write: BudgetedWrite) => IterationBudget & Disposable;
  /** For one that was accepted before, maybe by another relay. */
  readonly createForReading: (id: string, signal: AbortSignal) => IterationBudget;
}

export interface BudgetedWrite {
  /** Of the subscription that it replaces; null: none. */
  readonly id: string | null;
  /** The application that it will belong to. */
  readonly application: string | null;
  /** The only application that the caller may use; null: an operator. */
  readonly caller: string | null;
  readonly signal: AbortSignal;
}

export interface Costs {
  readonly subscription: { readonly application: string | null };
  /** The cost of its key stores. */
  readonly iterations: number;
}

const MAX_OF_SUBSCRIPTION = 3_000_000;
const MAX_OF_APPLICATION = 10_000_000;
/** Half a minute of one thread at each start. */
const MAX_IN_ALL = 60_000_000;
/** The period in which a caller may use `MAX_OF_APPLICATION`. */
const WINDOW_MS = 600_000;

interface OpenWrite extends BudgetedWrite {
  readonly spent: () => number;
}

export function createStoreBudgets(
  known: ReadonlyMap<string, Costs>,
  { now }: { readonly now: () => number },
): StoreBudgets {
  const open = new Set<OpenWrite>();
  const recent = new Map<string, { iterations: number; at: number }>();

  /** Stored subscriptions and writes in progress, except the current one. */
  function heldBeside(own: { readonly id: string | null } | OpenWrite, application: string | null): number {
    const isCounted = (other: string | null) => application === null || other === application;
    let held = 0;
    for (const [id, { subscription, iterations }] of known) {
      if (id !== own.id && isCounted(subscription.application)) held += iterations;
    }
    for (const write of open) if (write !== own && isCounted(write.application)) held += write.spent();
    return held;
  }

  function spentLately(caller: string): number {
    const { iterations, at } = recent.get(caller) ?? { iterations: 0, at: 0 };
    return Math.max(0, iterations - ((now() - at) / WINDOW_MS) * MAX_OF_APPLICATION);
  }

  function charge(caller: string, iterations: number): void {
    for (const one of recent.keys()) if (spentLately(one) === 0) recent.delete(one);
    if (iterations > 0) recent.set(caller, { iterations: spentLately(caller) + iterations, at: now() });
  }

  return {
    openForWrite(write) {
      const { application, caller, signal } = write;
      const own: OpenWrite = { ...write, spent: () => budget.spent() };
      const budget = createIterationBudget(
        [
          limitTo(MAX_OF_SUBSCRIPTION, "those of a subscription"),
          ...(application === null
            ? []
            : [
                {
                  left: (spent: number) => MAX_OF_APPLICATION - heldBeside(own, application) - spent,
                  text: `those of application ${application} may take ${MAX_OF_APPLICATION} in all`,
                },
              ]),
          ...(caller === null
            ? []
            : [
                {
                  left: () => MAX_OF_APPLICATION - spentLately(caller),
                  text: `at most ${MAX_OF_APPLICATION} are computed for application ${caller} in 10 minutes`,
                },
              ]),
          {
            left: (spent) => MAX_IN_ALL - heldBeside(own, null) - spent,
            text: `those of all subscriptions made by API may take ${MAX_IN_ALL} in all`,
          },
        ],
        signal,
      );
      open.add(own);
      const spend = (iterations: number) => {
        budget.spend(iterations);
        if (caller !== null) charge(caller, iterations);
      };
      return { ...budget, spend, [Symbol.dispose]: () => void open.delete(own) };
    },
    createForReading: (id, signal) =>
      createIterationBudget(
        [
          limitTo(MAX_OF_SUBSCRIPTION, "those of a subscription"),
          {
            // Several relays may have accepted some at the same time.
            left: (spent) => 2 * MAX_IN_ALL - heldBeside({ id }, null) - spent,
            text: `those of all subscriptions made by API may take ${MAX_IN_ALL} in all`,
          },
        ],
        signal,
      ),
  };
}

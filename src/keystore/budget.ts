// How much work the passwords of stores may cost: iterations of a hash, counted before they are done.

import { RelayError } from "#lib/errors.ts";
import { pause } from "#lib/slices.ts";
import { StoreError } from "./opened.ts";

export interface IterationBudget {
  /** Throws a StoreError if it is more than any limit leaves. */
  readonly spend: (iterations: number) => void;
  /** As `spend`, for what was done before and is not done again. False: it is too much. */
  readonly reuse: (iterations: number) => boolean;
  readonly spent: () => number;
  /** Ends a slice of the work. Rejects with a RelayError once `signal` has aborted. */
  readonly pause: () => Promise<void>;
  readonly signal: AbortSignal;
}

interface IterationLimit {
  /** How many iterations are left when `spent` of them were spent here. */
  readonly left: (spent: number) => number;
  /** Completes "its passwords take too many iterations: …". */
  readonly text: string;
}

/** One for all stores that are read together: hostile ones must not keep the relay busy, neither alone nor as a crowd. */
export function createIterationBudget(
  limits: readonly IterationLimit[],
  signal: AbortSignal,
): IterationBudget {
  let spent = 0;
  const findExceeded = (iterations: number) => limits.find(({ left }) => iterations > left(spent));
  return {
    spend(iterations) {
      if (!(iterations >= 1)) throw new StoreError("unreadable", "it is damaged");
      const exceeded = findExceeded(iterations);
      if (exceeded !== undefined) {
        throw new StoreError("unreadable", `its passwords take too many iterations: ${exceeded.text}`);
      }
      spent += iterations;
    },
    reuse(iterations) {
      if (findExceeded(iterations) !== undefined) return false;
      spent += iterations;
      return true;
    },
    spent: () => spent,
    signal,
    async pause() {
      await pause();
      if (signal.aborted) throw new RelayError("unavailable", "Cannot read the key stores: it was given up");
    },
  };
}

/** Of those that are read together, whatever else was read. */
export function limitTo(iterations: number, text: string): IterationLimit {
  return { left: (spent) => iterations - spent, text: `${text} may take ${iterations} in all` };
}

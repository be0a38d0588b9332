// Limits the work for passwords of key stores: hash iterations, counted before they run.

import { RelayError } from "#lib/errors.ts";
import { pause } from "#lib/slices.ts";
import { StoreError } from "./opened.ts";

export interface IterationBudget {
  /** Throws a StoreError if a limit is exceeded. */
  readonly spend: (iterations: number) => void;
  /** As `spend`, for work that is not repeated. False: it exceeds a limit. */
  readonly reuse: (iterations: number) => boolean;
  readonly spent: () => number;
  /** Ends a slice of the work. Rejects with a RelayError once `signal` has aborted. */
  readonly pause: () => Promise<void>;
  readonly signal: AbortSignal;
}

interface IterationLimit {
  /** How many iterations are left when `spent` were used here. */
  readonly left: (spent: number) => number;
  /** Completes "its passwords take too many iterations: …". */
  readonly text: string;
}

/** Shared by all stores that are read together: hostile ones must not keep the relay busy, alone or together. */
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
      if (signal.aborted) throw new RelayError("unavailable", "Cannot read the key stores: aborted");
    },
  };
}

/** A limit for the stores that are read together. */
export function limitTo(iterations: number, text: string): IterationLimit {
  return { left: (spent) => iterations - spent, text: `${text} may take ${iterations} in all` };
}

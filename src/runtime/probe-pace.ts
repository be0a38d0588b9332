// How long an interrupted subscription waits before it tries again by itself: the longer, the more often it failed.

import { retryDelayMs } from "#delivery/backoff.ts";
import type { FailureCause } from "#delivery/status.ts";
import type { Resume } from "#delivery/subscription.ts";
import { sleep } from "#lib/sleep.ts";

interface ProbePace {
  /** True: it is time. False: `signal` aborted. A failure that is new, of whichever relay, counts once. */
  wait: (cause: FailureCause | null, options: { resume: Resume; signal: AbortSignal }) => Promise<boolean>;
  /** It was delivered, or somebody says that it will be. */
  reset: () => void;
}

/** The longest that a timer can wait at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export function createProbePace(): ProbePace {
  let failures = 0;
  let counted: number | null = null;

  return {
    async wait(cause, { resume, signal }) {
      const at = cause?.at.getTime() ?? null;
      if (failures === 0 || at !== counted) failures += 1;
      counted = at;
      if (resume.kind === "manual") {
        await sleep(MAX_TIMER_MS, signal);
        return false;
      }
      const retry = { ...resume, kind: "exponential", maxAttempts: Infinity } as const;
      return sleep(retryDelayMs(retry, failures, Math.random()), signal);
    },
    reset: () => (failures = 0),
  };
}

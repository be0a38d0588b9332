// Waits for the states of the cluster before consuming, to respect pauses; gives up after a while if the bucket is unusable.

import type { Logger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";

interface StatesWait {
  /** False: `signal` aborted. True: the states are known, or the wait is over; `onKnown` is called once they are known. */
  readonly ready: (signal: AbortSignal, onKnown: () => void) => Promise<boolean>;
}

interface StatesWaitOptions {
  readonly bucket: {
    readonly ready: (signal: AbortSignal) => Promise<boolean>;
    readonly fault: () => string | null;
  };
  readonly connection: { readonly ready: (signal: AbortSignal) => Promise<boolean> };
  readonly logger: Logger;
}

/** Counted from the connection on: time for a cluster to elect the leader of the bucket. */
const PATIENCE_MS = 10_000;

export function createStatesWait({ bucket, connection, logger }: StatesWaitOptions): StatesWait {
  let isWarned = false;

  /** Once, however many subscriptions wait. */
  function warn(): void {
    if (isWarned) return;
    isWarned = true;
    logger.warn("Cannot read the states of the cluster: only the config file counts", {
      reason: bucket.fault(),
    });
  }

  return {
    async ready(signal, onKnown) {
      if (!(await connection.ready(signal))) return false;
      const waiting = new AbortController();
      const known = bucket.ready(signal).then((isKnown) => {
        if (isKnown) onKnown();
        return isKnown;
      });
      const patience = sleep(PATIENCE_MS, AbortSignal.any([signal, waiting.signal]));
      const isKnown = await Promise.race([known, patience.then((isElapsed) => (isElapsed ? null : false))]);
      waiting.abort();
      if (isKnown !== null) return isKnown;
      warn();
      return true;
    },
  };
}

// Nothing is consumed before it is known what was paused; but a bucket that cannot be used holds nothing up for ever.

import type { Logger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";

interface StatesWait {
  /** False: `signal` aborted before. True: it is known, or was waited for long enough; `onKnown` is called once it is known. */
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

/** From being connected on: time for a cluster to choose the leader of the bucket. */
const PATIENCE_MS = 10_000;

export function createStatesWait({ bucket, connection, logger }: StatesWaitOptions): StatesWait {
  let isWarned = false;

  /** Once, however many subscriptions wait. */
  function warn(): void {
    if (isWarned) return;
    isWarned = true;
    logger.warn("States of the cluster are not known, only the config file counts", {
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

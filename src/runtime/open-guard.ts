// The replay guard of a subscription, opened as soon as the state directory can be used.

import { repeatDelayMs } from "#delivery/backoff.ts";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";
import type { Guard } from "#pipeline/guard.ts";

const BACKOFF = { initialMs: 500, maxMs: 5000 };

/** Tries until it is open; null: `signal` aborted before. Never rejects. */
export async function openGuardForEver(
  open: () => Promise<Guard>,
  { onWaiting, logger, signal }: { onWaiting: (reason: string) => void; logger: Logger; signal: AbortSignal },
): Promise<Guard | null> {
  for (let tryNumber = 1; ; tryNumber += 1) {
    try {
      return await open();
    } catch (error) {
      const reason = `Cannot open the journal: ${messageOf(error)}`;
      if (tryNumber === 1) logger.error("Subscription waits", { reason });
      onWaiting(reason);
      const delayMs = repeatDelayMs(tryNumber, { ...BACKOFF, random: Math.random() });
      if (!(await sleep(delayMs, signal))) return null;
    }
  }
}

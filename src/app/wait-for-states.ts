// Nothing is consumed before it is known what was paused; but a bucket that cannot be used holds nothing up for ever.

import type { Logger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";

export interface WaitOptions {
  readonly connection: { readonly ready: (signal: AbortSignal) => Promise<boolean> };
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** From being connected on: time for a cluster to choose the leader of the bucket. */
const PATIENCE_MS = 10_000;

/** False: `signal` aborted before. */
export async function waitForStates(
  bucket: {
    readonly ready: (signal: AbortSignal) => Promise<boolean>;
    readonly fault: () => string | null;
  },
  { connection, logger, signal }: WaitOptions,
): Promise<boolean> {
  if (!(await connection.ready(signal))) return false;
  const waiting = new AbortController();
  const either = AbortSignal.any([signal, waiting.signal]);
  const isKnown = await Promise.race([
    bucket.ready(either),
    sleep(PATIENCE_MS, either).then((isElapsed) => (isElapsed ? null : false)),
  ]);
  waiting.abort();
  if (isKnown !== null || signal.aborted) return isKnown === true;
  logger.warn("States of the cluster are not known, nothing counts as paused", { reason: bucket.fault() });
  return true;
}

// Tracks why the bucket cannot be read or written, and logs a reason that lasts or changes.

import type { Logger } from "#lib/logger.ts";

interface BucketFault {
  /** null: it works. */
  set: (part: "read" | "write", reason: string | null) => void;
  /** After a reconnect: the next faults may come from the new connection or a starting server. */
  reconnected: () => void;
  current: () => string | null;
}

const PATIENCE_MS = 1000;

/** Logs nothing without a connection: the connection logs that itself. */
export function createBucketFault(
  isConnected: () => boolean,
  { logger, bucket }: { logger: Logger; bucket: string },
): BucketFault {
  const reasons: Record<"read" | "write", string | null> = { read: "not read yet", write: null };
  let since: number | null = null;
  let logged: string | null = null;

  function set(part: "read" | "write", reason: string | null): void {
    reasons[part] = reason;
    const now = reasons.read ?? reasons.write;
    if (now === null) return clear();
    if (!isConnected()) since = null;
    else since ??= performance.now();
    if (since === null || performance.now() - since < PATIENCE_MS || now === logged) return;
    logged = now;
    logger.warn("Cannot use the bucket", { bucket, reason: now });
  }

  function clear(): void {
    since = null;
    if (logged === null) return;
    logged = null;
    logger.info("The bucket can be used again", { bucket });
  }

  return {
    set,
    reconnected: () => {
      since = null;
    },
    current: () => (isConnected() ? (reasons.read ?? reasons.write) : "not connected to NATS"),
  };
}

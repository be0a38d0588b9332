// Cleans up after a deleted subscription made by API: once it has drained, its state and consumer go, before its id is used again.
//
// Each relay forgets what it knew of the messages. The relay that deletes also removes state and consumer, and keeps a mark in
// the bucket until that is done: until then every relay refuses a new subscription of this id.

import { durableName, type Subscription } from "#delivery/subscription.ts";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";
import type { Bucket } from "#bucket/bucket.ts";
import type { Connection } from "#nats/connection.ts";
import { deleteConsumer } from "#consumer/info.ts";
import { removePlaceholder } from "#consumer/placeholder.ts";
import { removeGuard } from "#pipeline/guard.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import type { Runtime } from "#runtime/runtime.ts";
import { PREFIX as SUBSCRIPTION } from "./api-subscriptions.ts";

export interface Cleanup {
  /** A subscription of this id still drains here, or some relay is deleting it. */
  isUnderWay: (id: string) => boolean;
  /** This relay deletes it, from now until `end`. */
  begin: (id: string) => void;
  end: (id: string) => void;
  /** Some relay has deleted them: call this before they drain. */
  removed: (ids: readonly string[]) => void;
  /** Call it when the subscription has drained, and before another of its id begins. Never rejects. */
  drained: (running: RunningSubscription) => Promise<void>;
}

interface CleanupOptions {
  readonly connection: Connection;
  readonly bucket: Pick<Bucket, "get" | "put" | "remove" | "onChange">;
  readonly runtime: () => Pick<Runtime, "find" | "wanted">;
  readonly guardPath: (id: string) => string;
  /** How long it may drain. */
  readonly graceMs: () => number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

const PREFIX = "deleting.";
/** Maximum time of a deletion besides draining; the mark of a dead relay expires after that. */
const MARK_MS = 15_000;
/** The longest grace, and some. */
const MAX_MARK_MS = 660_000;
const CLEAR_AGAIN_MS = 2000;

export function createCleanup(options: CleanupOptions): Cleanup {
  const { connection, bucket, runtime, guardPath, graceMs, logger, signal } = options;
  /** Being deleted by this relay. */
  const own = new Set<string>();
  /** Deleted by some relay, and not drained yet. */
  const gone = new Set<string>();

  async function clearConsumer({ id, source }: Subscription): Promise<void> {
    const ref = { domain: source.domain, stream: source.stream, durable: durableName(id) };
    await deleteConsumer(connection, ref).catch((error: unknown) => {
      logger.warn("Consumer not deleted", { subscription: id, reason: messageOf(error) });
    });
    await removePlaceholder(connection, ref);
  }

  /** Another relay may recreate the consumer before it hears of the deletion. A new subscription of this id may wait longer. */
  async function clearAgain(subscription: Subscription): Promise<void> {
    if (!(await sleep(CLEAR_AGAIN_MS, signal))) return;
    const { id } = subscription;
    const isTaken = runtime().find(id) !== null || bucket.get(SUBSCRIPTION + id) !== null;
    if (!isTaken) await clearConsumer(subscription);
  }

  /** When this relay first saw a mark: the clocks of other hosts do not matter. */
  const seen = new Map<string, { readonly value: string; readonly at: number }>();

  function see(id: string, value: string | null): void {
    if (value === null) seen.delete(id);
    else if (seen.get(id)?.value !== value) seen.set(id, { value, at: performance.now() });
  }

  function isMarked(id: string): boolean {
    const value = bucket.get(PREFIX + id)?.value ?? null;
    see(id, value);
    const mark = seen.get(id);
    if (mark === undefined || value === null) return false;
    if (performance.now() - mark.at < durationOf(value)) return true;
    if (!own.has(id)) bucket.remove(PREFIX + id);
    return false;
  }

  const unfollow = bucket.onChange((key, entry) => {
    if (key.startsWith(PREFIX)) see(key.slice(PREFIX.length), entry?.value ?? null);
  });
  signal.addEventListener("abort", unfollow);

  return {
    isUnderWay: (id) =>
      own.has(id) || isMarked(id) || (runtime().find(id) !== null && runtime().wanted(id) === null),
    begin(id) {
      own.add(id);
      bucket.put(PREFIX + id, JSON.stringify({ by: crypto.randomUUID(), durationMs: graceMs() + MARK_MS }));
    },
    end(id) {
      own.delete(id);
      bucket.remove(PREFIX + id);
    },
    removed(ids) {
      for (const id of ids) gone.add(id);
    },
    async drained({ subscription, forget }) {
      const { id } = subscription;
      if (gone.delete(id)) await removeGuard(guardPath(id));
      if (!own.has(id)) return;
      forget();
      await clearConsumer(subscription);
      void clearAgain(subscription); // Never rejects; not awaited.
    },
  };
}

/** How long a mark counts; the shortest time if it cannot be parsed. */
function durationOf(value: string): number {
  try {
    const { durationMs } = JSON.parse(value) as { readonly durationMs?: unknown };
    return typeof durationMs === "number" ? Math.min(durationMs, MAX_MARK_MS) : MARK_MS;
  } catch {
    return MARK_MS;
  }
}

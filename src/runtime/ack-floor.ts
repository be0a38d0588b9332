// Watches a consumer: tells the guard its ack floor, and notices when somebody changed its config. The server does not push either.

import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { startTicks } from "#lib/ticks.ts";
import type { ConsumerSettings } from "#consumer/config.ts";
import { findDisturbance } from "#consumer/fields.ts";
import type { ConsumerReading } from "#consumer/info.ts";
import type { Guard } from "#pipeline/guard.ts";

export type AckFloor = Pick<ConsumerReading, "ackFloor" | "config">;

interface AckFloorOptions {
  readonly guard: Guard;
  /** null: there is no such consumer. */
  readonly readConsumer: (settings: ConsumerSettings) => Promise<AckFloor | null>;
  /** Calls `take` for each periodic consumer list that contains this consumer; never if listing is forbidden. */
  readonly followConsumer: (settings: ConsumerSettings, take: (reading: AckFloor) => void) => () => void;
  readonly isHolding: () => boolean;
  readonly onLost: (reason: string) => void;
  readonly logger: Logger;
}

const FLOOR_CHECK_INTERVAL_MS = 1000;
/** Longer than the 15 s between two consumer lists. */
const FLOOR_REFRESH_MS = 20_000;
/** With this many entries in the guard, the floor is read earlier. */
const FLOOR_REFRESH_ENTRIES = 4096;

/**
 * Tells the guard the server's ack floor, so that the guard stays small and knows its position. Also checks that the consumer
 * is still as aligned: the server reports no change of its config, and no re-creation while nothing is pulled. The shared
 * consumer list usually answers both; where that is too late, this consumer is read by itself.
 */
export function watchAckFloor(
  settings: ConsumerSettings,
  { guard, readConsumer, followConsumer, isHolding, onLost, logger }: AckFloorOptions,
): { readonly wake: () => void; readonly stop: () => void } {
  // Read soon after the start: another relay that just started may want other acks.
  let readAt = Number.NEGATIVE_INFINITY;
  let isReading = false;
  let isStopped = false;
  /** Null: no ticks while nothing is held. */
  let endTicks: (() => void) | null = null;

  async function take(consumer: AckFloor): Promise<void> {
    readAt = performance.now();
    const disturbance = findDisturbance(consumer.config, settings);
    if (disturbance !== null) onLost(disturbance);
    // Once stopped, the guard may belong to another stream.
    else if (!isStopped) await guard.advance(consumer.ackFloor);
  }

  function isDue(): boolean {
    if (isReading) return false;
    // Until the first floor is known, a lost consumer could not be re-created at its position.
    const isFirst = guard.size > 0 && (guard.position()?.sequence ?? 0) === 0;
    return isFirst || guard.size >= FLOOR_REFRESH_ENTRIES || performance.now() - readAt > FLOOR_REFRESH_MS;
  }

  async function read(): Promise<void> {
    isReading = true;
    try {
      const consumer = await readConsumer(settings);
      if (consumer !== null) await take(consumer);
    } catch (error) {
      logger.debug("Cannot read the acknowledgement floor", { error: messageOf(error) });
    }
    readAt = performance.now();
    isReading = false;
  }

  function tick(): void {
    if (isDue()) void read(); // Never rejects.
    else if (guard.size === 0 && !isHolding()) pause();
  }

  /** Ticks while messages are held. */
  function wake(): void {
    if (!isStopped) endTicks ??= startTicks(FLOOR_CHECK_INTERVAL_MS, tick);
  }

  function pause(): void {
    endTicks?.();
    endTicks = null;
  }

  const unfollow = followConsumer(settings, (consumer) => void take(consumer)); // Never rejects.
  const endWakes = startTicks(FLOOR_REFRESH_MS, wake);
  wake();
  return {
    wake,
    stop() {
      isStopped = true;
      unfollow();
      endWakes();
      pause();
    },
  };
}

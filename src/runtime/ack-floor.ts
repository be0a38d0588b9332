// The acknowledgement floor of a consumer, and whether it is still as it was aligned: looked at now and then, for nobody tells.

import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { startTicks } from "#lib/ticks.ts";
import type { ConsumerSettings } from "#consumer/config.ts";
import { findDisturbance } from "#consumer/fields.ts";
import type { ConsumerReading } from "#consumer/info.ts";
import type { Guard } from "#pipeline/guard.ts";

export type Floor = Pick<ConsumerReading, "ackFloor" | "config">;

interface KeepFloorOptions {
  readonly guard: Guard;
  /** null: there is no such consumer. */
  readonly readConsumer: (settings: ConsumerSettings) => Promise<Floor | null>;
  /** `take` is told what a list of all consumers says of it, now and then; never where they may not be listed. */
  readonly followConsumer: (settings: ConsumerSettings, take: (reading: Floor) => void) => () => void;
  readonly isHolding: () => boolean;
  readonly onLost: (reason: string) => void;
  readonly logger: Logger;
}

const FLOOR_CHECK_INTERVAL_MS = 1000;
/** The list comes each 15 s. */
const FLOOR_REFRESH_MS = 20_000;
/** The floor is read earlier when the guard has this many entries. */
const FLOOR_REFRESH_ENTRIES = 4096;

/**
 * Tells the guard the server's floor, now and then, so that it stays small and knows where to go on. Looks whether the consumer
 * is still as it was aligned too: nobody tells that its config was changed, or, while no message is asked for, that it was made anew.
 * One list of all consumers tells as a rule; it is asked about by itself where that is too late.
 */
export function keepFloor(
  settings: ConsumerSettings,
  { guard, readConsumer, followConsumer, isHolding, onLost, logger }: KeepFloorOptions,
): { readonly wake: () => void; readonly stop: () => void } {
  // The first time soon: who else has just started may want other acks.
  let readAt = Number.NEGATIVE_INFINITY;
  let isReading = false;
  let isStopped = false;
  /** Null: nothing is to be looked for. */
  let endTicks: (() => void) | null = null;

  async function take(consumer: Floor): Promise<void> {
    readAt = performance.now();
    const disturbance = findDisturbance(consumer.config, settings);
    if (disturbance !== null) onLost(disturbance);
    // Once stopped, the guard may be about another stream.
    else if (!isStopped) await guard.advance(consumer.ackFloor);
  }

  function isDue(): boolean {
    if (isReading) return false;
    // Until the first floor is known, a lost consumer could not be made again at its place.
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
    else if (guard.size === 0 && !isHolding()) rest();
  }

  /** While messages come and are done with. */
  function wake(): void {
    if (!isStopped) endTicks ??= startTicks(FLOOR_CHECK_INTERVAL_MS, tick);
  }

  function rest(): void {
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
      rest();
    },
  };
}

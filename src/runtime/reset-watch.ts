// Detects a reset of the consumer on the server (`nats consumer reset`, since 2.14): the operator wants its messages again.
//
// The server counts a consumer's deliveries, and a reset starts the count at 1. A killed server or a new leader also goes
// back, by what it had not written yet, mostly with the connection lost; those messages are not wanted again. So a count that
// falls to half or less on one connection is a reset. A smaller fall is not.
//
// A killed server may forget everything about a consumer that is only seconds old, and a relay that is connected to another
// server of the cluster loses no connection then. Where nothing may be repeated, only a count below one that must be on the
// server's disk is a reset.

import type { Aligned } from "#consumer/consumer.ts";
import type { Logger } from "#lib/logger.ts";
import type { Guard } from "#pipeline/guard.ts";
import type { ConsumeParts } from "./consume.ts";

interface ResetWatch {
  /** Call it for each message with its delivery count. True: the consumer was reset before this message. */
  isReset: (consumerSequence: number) => boolean;
  /** Creation time of the aligned consumer: another one starts its own count. */
  aligned: (consumerCreated: string) => void;
  /** After a reset by an operator, the guard must suppress nothing. */
  watch: (startPump: StartPump, parts: { readonly guard: Guard; readonly logger: Logger }) => StartPump;
}

type StartPump = ConsumeParts["startPump"];

interface ResetWatchOptions {
  /** Number of reconnects to NATS. */
  readonly reconnects: () => number;
  /** A count that is older than this is on the server's disk. */
  readonly writtenAfterMs: number;
  readonly now: () => number;
}

/** Counts are grouped into steps of `writtenAfterMs` / 3. */
const STEPS = 3;

interface Seen {
  readonly count: number;
  /** Of the first count of its step. */
  readonly at: number;
}

export function createResetWatch({ reconnects, writtenAfterMs, now }: ResetWatchOptions): ResetWatch {
  let created: string | null = null;
  let connection = -1;
  let highest = 0;
  /** The highest count on the server's disk. */
  let written = 0;
  /** The highest count of each later step, oldest first. */
  let recent: Seen[] = [];

  function beginAt(count: number): void {
    highest = 0;
    written = 0;
    recent = [];
    note(count);
  }

  function note(count: number): void {
    highest = count;
    const at = now();
    const last = recent.at(-1);
    if (last === undefined || at - last.at >= writtenAfterMs / STEPS) recent.push({ count, at });
    else recent[recent.length - 1] = { count, at: last.at };
  }

  /** Moves steps that are old enough into `written`. A step is over once the next one could have begun. */
  function settle(): void {
    const limit = now() - writtenAfterMs - writtenAfterMs / STEPS;
    for (let [oldest] = recent; oldest !== undefined && oldest.at <= limit; [oldest] = recent) {
      written = oldest.count;
      recent.shift();
    }
  }

  function isReset(consumerSequence: number): boolean {
    const isSameConnection = connection === reconnects();
    connection = reconnects();
    settle();
    const isBack = consumerSequence <= written && consumerSequence <= Math.max(1, written / 2);
    if (consumerSequence > highest && isSameConnection) note(consumerSequence);
    else beginAt(consumerSequence);
    return isBack && isSameConnection;
  }

  return {
    isReset,
    watch:
      (startPump, { guard, logger }) =>
      (wanted, handlers) =>
        startPump(wanted, {
          ...handlers,
          onMessage(received) {
            if (isReset(received.consumerSequence)) {
              logger.warn("Somebody reset the consumer on the server: Relay sends its messages again", {
                consumer: wanted.durable,
                from: received.message.sequence,
              });
              void guard.forget(); // At once in memory. Never rejects.
            }
            handlers.onMessage(received);
          },
        }),
    aligned(consumerCreated) {
      if (consumerCreated !== created) beginAt(0);
      created = consumerCreated;
    },
  };
}

/** After a restart of this relay, a server that forgot looks the same as an operator's reset. */
export function tellStepBack(
  { change, ackFloor: now, settings }: Aligned,
  { before, logger }: { readonly before: number | null; readonly logger: Logger },
): void {
  if (change !== "kept" && change !== "updated") return;
  if (before === null || now === null || now >= before) return;
  logger.warn(
    "The consumer went back: the server forgot its position, or somebody reset it; messages that are done are not sent again",
    { consumer: settings.durable, before, now },
  );
}

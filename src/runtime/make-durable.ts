// Creates the durable consumer of an idle subscription, so that messages published before it runs wait for it.

import { repeatDelayMs } from "#delivery/backoff.ts";
import { messageOf, RelayError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";
import type { Aligned, AlignOptions } from "#consumer/consumer.ts";
import type { ConsumerSettings } from "#consumer/config.ts";
import type { Guard } from "#pipeline/guard.ts";

const BACKOFF = { initialMs: 500, maxMs: 30_000 };

export interface MakeDurableParts {
  /** Resolves with false when `signal` aborts before NATS is connected. */
  readonly connected: (signal: AbortSignal) => Promise<boolean>;
  /** Null: nothing to create. Rejects with a RelayError. */
  readonly makeConsumer: (
    settings: ConsumerSettings,
    options: Partial<AlignOptions>,
  ) => Promise<Aligned | null>;
  readonly logger: Logger;
}

interface Durable {
  /** Resolves after `idle`, when no request is under way. Never rejects. */
  makeDuring: (
    idle: Promise<unknown>,
    options: { readonly guard: Guard; readonly signal: AbortSignal },
  ) => Promise<void>;
}

/** Creates it once: somebody who deletes it later means to. */
export function createDurable(parts: MakeDurableParts, settings: () => ConsumerSettings): Durable {
  let isMade = false;
  return {
    async makeDuring(idle, { guard, signal }) {
      const ending = new AbortController();
      const own = AbortSignal.any([signal, ending.signal]);
      const making = isMade ? true : makeForEver(settings(), parts, { guard, signal: own });
      await idle;
      ending.abort();
      isMade = await making;
    },
  };
}

/** Retries until it exists; false: `signal` aborted first. Never rejects. */
async function makeForEver(
  settings: ConsumerSettings,
  { connected, makeConsumer, logger }: MakeDurableParts,
  { guard, signal }: { guard: Guard; signal: AbortSignal },
): Promise<boolean> {
  let lastReason: string | null = null;
  for (let tryNumber = 1; await connected(signal); tryNumber += 1) {
    try {
      const made = await makeConsumer(settings, { position: guard.position(), signal });
      if (made !== null) await guard.align(made);
      return true;
    } catch (error) {
      if (error instanceof RelayError && error.code === "stream-missing") await guard.expectStream();
      const reason = messageOf(error);
      if (reason !== lastReason && !signal.aborted) logger.warn("Cannot create the consumer yet", { reason });
      lastReason = reason;
      const delayMs = repeatDelayMs(tryNumber, { ...BACKOFF, random: Math.random() });
      if (!(await sleep(delayMs, signal))) return false;
    }
  }
  return false;
}

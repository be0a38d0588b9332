// Settles a message: acknowledges it, or stores its dead letter first.

import type { Received } from "#consumer/received.ts";
import { repeatDelayMs } from "#delivery/backoff.ts";
import { toDeadLetter } from "#delivery/dead-letter.ts";
import type { Failure } from "#delivery/outcome.ts";
import type { Trace } from "#delivery/trace.ts";
import type { DeadLetters, StoreResult } from "#letters/store.ts";
import type { Logger } from "#lib/logger.ts";
import type { Guard } from "./guard.ts";
import type { TermsHolder } from "./terms.ts";
import type { Turns } from "./turns.ts";

interface SettlerOptions {
  readonly terms: TermsHolder;
  readonly turns: Turns;
  readonly guard: Guard;
  readonly logger: Logger;
  /** Called with the reason when no endpoint takes dead letters, and with null when one does again. */
  readonly onBlocked: (reason: string | null) => void;
}

interface StoreOptions {
  readonly deadLetters: DeadLetters;
  readonly closing: AbortSignal;
  readonly repeating: AbortSignal;
  readonly trying: AbortSignal;
}

export interface Settler {
  /** Completes a message: acknowledges it, unless that is done, then remembers it in the guard. */
  complete: (held: Held) => void;
  /**
   * Stores the dead letter of a message. While no endpoint takes it, tries again until `repeating` aborts, then returns the
   * last result. From `closing` on, tries at once and more often: time is limited. `trying` aborts a try in progress. Does
   * not complete the message. Never rejects.
   */
  storeLetter: (held: Held, failure: Failure, options: StoreOptions) => Promise<StoreResult>;
}

const REPEAT = { initialMs: 250, maxMs: 30_000 };
const REPEAT_CLOSING = { initialMs: 250, maxMs: 1000 };

export function createSettler({ terms, turns, guard, logger, onBlocked }: SettlerOptions): Settler {
  let blocked = 0;

  function block(reason: string): void {
    blocked += 1;
    if (blocked === 1) logger.error("Cannot store dead letters", { reason });
    onBlocked(reason);
  }

  function unblock(result: StoreResult): void {
    blocked -= 1;
    if (blocked > 0) return;
    onBlocked(null);
    if (result.kind !== "unavailable") logger.info("Dead letters can be stored again");
  }

  return {
    complete(held) {
      const { message, ack } = held.received;
      if (held.isRedeliverable) ack();
      guard.markDone(message);
    },
    async storeLetter(held, failure, { deadLetters, closing, repeating, trying }) {
      const { subscription } = terms.current;
      const letter = toDeadLetter(held.received.message, failure, {
        subscription: subscription.id,
        application: subscription.application,
        entrypoint: subscription.entrypoint,
        attempts: held.attempts,
        now: new Date(),
      });
      let result = await deadLetters.store(letter, trying);
      if (result.kind !== "unavailable" || repeating.aborted) return result;
      block(result.reason);
      for (let tryNumber = 1; result.kind === "unavailable"; tryNumber += 1) {
        const [repeat, waiting] = closing.aborted ? [REPEAT_CLOSING, repeating] : [REPEAT, closing];
        await turns.wait(repeatDelayMs(tryNumber, { ...repeat, random: Math.random() }), waiting);
        if (repeating.aborted) break;
        result = await deadLetters.store(letter, trying);
        if (result.kind === "unavailable") onBlocked(result.reason);
      }
      unblock(result);
      return result;
    },
  };
}

export interface Held {
  /** Its newest delivery: a redelivery has a new reply subject. */
  received: Received;
  /** Since it was received: a redelivery starts anew. */
  attempts: number;
  /** False if nothing would deliver it again: without acknowledgements, or once it is acknowledged. */
  isRedeliverable: boolean;
  /** It had been delivered before: another relay may have stored its dead letter and died. */
  mayHaveLetter: boolean;
  /** In a row. */
  postponements: number;
  /** Null: its requests carry on no trace. */
  readonly trace: Trace | null;
}

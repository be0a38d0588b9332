// Asks the server whether a consumer is still the one that was aligned, after a time in which another relay may have moved it.

import { messageOf } from "#lib/errors.ts";

import type { Connection } from "./connection.ts";
import { type ConsumerRef, isSameConsumer, readConsumer } from "./consumer-info.ts";

export interface IdentityCheck {
  /** From now on it is not known. */
  require: () => void;
  readonly isRequired: boolean;
  /** Asks the server, once at a time. */
  ask: () => void;
}

export interface IdentityCheckOptions {
  readonly ref: ConsumerRef;
  readonly consumerCreated: string;
  readonly onSame: () => void;
  readonly onLost: (reason: string) => void;
  /** The server does not say, for this reason: it is to be asked again. */
  readonly onUnknown: (reason: string) => void;
}

export function createIdentityCheck(
  connection: Connection,
  { ref, consumerCreated, onSame, onLost, onUnknown }: IdentityCheckOptions,
): IdentityCheck {
  let required = 0;
  let answered = 0;
  let isAsking = false;

  /** Never rejects. */
  async function ask(): Promise<void> {
    if (isAsking) return;
    isAsking = true;
    const asked = required;
    try {
      const consumer = await readConsumer(connection, ref);
      if (consumer === null) return onLost("consumer not found");
      if (!isSameConsumer(consumer.consumerCreated, consumerCreated)) return onLost("it was made anew");
      answered = asked;
    } catch (error) {
      return onUnknown(messageOf(error));
    } finally {
      isAsking = false;
    }
    onSame();
  }

  return {
    require() {
      required += 1;
    },
    get isRequired() {
      return answered < required;
    },
    ask: () => void ask(),
  };
}

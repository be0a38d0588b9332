// Checks whether a consumer is still the one that was aligned: another relay may have moved it, or a crash of the server may
// have undone acks or lost messages of its stream.

import { messageOf } from "#lib/errors.ts";

import type { Connection } from "#nats/connection.ts";
import { type ConsumerReading, type ConsumerRef, isSameConsumer, readConsumer } from "./info.ts";
import { checkContinuity, type RememberedPosition } from "./position.ts";
import { readStream } from "#nats/stream.ts";

interface IdentityCheck {
  /** The identity is unknown from now on. */
  require: () => void;
  readonly isRequired: boolean;
  /** Asks the server; one request at a time. */
  ask: () => void;
}

interface IdentityCheckOptions {
  readonly ref: ConsumerRef;
  readonly consumerCreated: string;
  readonly position: () => RememberedPosition | null;
  readonly onSame: () => void;
  readonly onLost: (reason: string) => void;
  /** The server gave no answer: ask again. */
  readonly onUnknown: (reason: string) => void;
}

export function createIdentityCheck(
  connection: Connection,
  { ref, consumerCreated, position, onSame, onLost, onUnknown }: IdentityCheckOptions,
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
      if (!isSameConsumer(consumer.consumerCreated, consumerCreated)) return onLost("it was re-created");
      const forgotten = await findForgotten(consumer);
      if (forgotten !== null) return onLost(forgotten);
      answered = asked;
    } catch (error) {
      return onUnknown(messageOf(error));
    } finally {
      isAsking = false;
    }
    onSame();
  }

  /** What the server lost in a crash, for people; null: nothing. The next alignment repairs it. */
  async function findForgotten({ ackFloor }: ConsumerReading): Promise<string | null> {
    const remembered = position();
    if (remembered === null) return null;
    if (ackFloor !== null && ackFloor < (remembered.ackFloor ?? 0)) return "it forgot acknowledgements";
    const info = await readStream(connection, ref);
    if (info === null) return "stream not found";
    const { kind } = await checkContinuity(connection, { ...ref, info }, remembered);
    return kind === "cut" ? "its stream lost messages" : null;
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

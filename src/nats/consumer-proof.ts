// Whether a consumer is still the one that was aligned, after a time in which another relay may have moved it.

import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";

import type { Connection } from "./connection.ts";
import { type ConsumerRef, isSameConsumer, readConsumer } from "./consumer-info.ts";

export interface ConsumerProof {
  /** From now on it is not known. */
  doubt: () => void;
  readonly isNeeded: boolean;
  /** Asks the server, once at a time. What cannot be known now is to be asked for again. */
  ask: () => void;
}

export interface ConsumerProofOptions {
  readonly ref: ConsumerRef;
  readonly consumerCreated: string;
  readonly onProven: () => void;
  readonly onLost: (reason: string) => void;
  readonly logger: Logger;
}

export function createConsumerProof(
  connection: Connection,
  { ref, consumerCreated, onProven, onLost, logger }: ConsumerProofOptions,
): ConsumerProof {
  const { durable } = ref;
  let doubts = 0;
  let provenDoubts = 0;
  let isAsking = false;

  /** Never rejects. */
  async function ask(): Promise<void> {
    if (isAsking) return;
    isAsking = true;
    const asked = doubts;
    try {
      const consumer = await readConsumer(connection, ref);
      if (consumer === null) return onLost("consumer not found");
      if (!isSameConsumer(consumer.consumerCreated, consumerCreated)) return onLost("it was made anew");
      provenDoubts = asked;
    } catch (error) {
      logger.debug("Cannot tell whether the consumer is the same", { durable, error: messageOf(error) });
    } finally {
      isAsking = false;
    }
    if (provenDoubts === asked) onProven();
  }

  return {
    doubt() {
      doubts += 1;
    },
    get isNeeded() {
      return provenDoubts < doubts;
    },
    ask: () => void ask(),
  };
}

// Sees that somebody reset the consumer on the server (`nats consumer reset`, since 2.14): what was done is wanted again.
//
// The server counts the deliveries of a consumer. A reset has it count from 1; a server that was killed, or a new leader, goes
// back by what it had not written yet, mostly with the connection lost, and what it delivers again is not wanted again. So a
// count that falls to half or less on one connection is a reset. One that falls otherwise is not, and is told.

export interface ResetWatch {
  /** Of each message that came, the count of its delivery. True: it was reset before this one. */
  isReset: (consumerSequence: number) => boolean;
  /** When the consumer was created, as the server says: another one counts anew. */
  aligned: (consumerCreated: string) => void;
}

export interface ResetWatchOptions {
  /** How often NATS was connected again. */
  readonly reconnects: () => number;
}

export function createResetWatch({ reconnects }: ResetWatchOptions): ResetWatch {
  let created: string | null = null;
  let highest = 0;
  let connection = -1;

  return {
    isReset(consumerSequence) {
      const isSameConnection = connection === reconnects();
      connection = reconnects();
      const isBack = consumerSequence <= highest && consumerSequence <= Math.max(1, highest / 2);
      // One that only fell a little may go on from there: the next reset is told from the highest.
      highest = isBack || !isSameConnection ? consumerSequence : Math.max(highest, consumerSequence);
      return isBack && isSameConnection;
    },
    aligned(consumerCreated) {
      if (consumerCreated !== created) highest = 0;
      created = consumerCreated;
    },
  };
}

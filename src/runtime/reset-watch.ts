// Sees that somebody reset the consumer on the server (`nats consumer reset`, since 2.14): what was done is wanted again.
//
// The server counts the deliveries of a consumer. A reset has it count from 1; a server that was killed, or a new leader, goes
// back by what it had not written yet, mostly with the connection lost, and what it delivers again is not wanted again. So a
// count that falls to half or less on one connection is a reset. One that falls otherwise is not, and is told.
//
// Of a consumer that has only begun a killed server may forget all, and a relay connected to another server of the cluster sees
// no connection lost. Where nothing may be repeated, only counts that are old enough to be written tell a reset.

interface ResetWatch {
  /** Of each message that came, the count of its delivery. True: it was reset before this one. */
  isReset: (consumerSequence: number) => boolean;
  /** When the consumer was created, as the server says: another one counts anew. */
  aligned: (consumerCreated: string) => void;
}

interface ResetWatchOptions {
  /** How often NATS was connected again. */
  readonly reconnects: () => number;
  /** A count that is older than this is known to be written on the server. */
  readonly writtenAfterMs: number;
  readonly now: () => number;
}

/** Counts are told apart by so much of `writtenAfterMs`. */
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
  /** The highest that is written. */
  let written = 0;
  /** The highest of each step since, the oldest first. */
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

  /** A step is over when the next one has begun, or could have. */
  function settle(): void {
    const limit = now() - writtenAfterMs - writtenAfterMs / STEPS;
    for (let [oldest] = recent; oldest !== undefined && oldest.at <= limit; [oldest] = recent) {
      written = oldest.count;
      recent.shift();
    }
  }

  return {
    isReset(consumerSequence) {
      const isSameConnection = connection === reconnects();
      connection = reconnects();
      settle();
      const isBack = consumerSequence <= written && consumerSequence <= Math.max(1, written / 2);
      if (consumerSequence > highest && isSameConnection) note(consumerSequence);
      else beginAt(consumerSequence);
      return isBack && isSameConnection;
    },
    aligned(consumerCreated) {
      if (consumerCreated !== created) beginAt(0);
      created = consumerCreated;
    },
  };
}

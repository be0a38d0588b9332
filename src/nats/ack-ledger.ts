// Acks that the server may not have seen yet: kept until a later ping is answered, repeated after a reconnect.

/** An acknowledged message whose ack is lost comes again, so losing the oldest of too many costs a duplicate only. */
const LIMIT = 10_000;

export interface AckLedger {
  add: (ackSubject: string) => void;
  /** Everything added so far has been sent. */
  markSent: () => void;
  /** Everything sent so far; to be given to `confirm` when a ping sent after it is answered. */
  mark: () => number;
  confirm: (mark: number) => void;
  /** Calls `publish` for each ack that is not confirmed, oldest first. */
  repeat: (publish: (ackSubject: string) => void) => void;
  readonly size: number;
}

export function createAckLedger(limit: number = LIMIT): AckLedger {
  const unconfirmed = new Map<string, number>();
  let counter = 0;
  let sent = 0;

  function add(ackSubject: string): void {
    counter += 1;
    unconfirmed.delete(ackSubject);
    unconfirmed.set(ackSubject, counter);
    if (unconfirmed.size <= limit) return;
    const [oldest] = unconfirmed.keys();
    if (oldest !== undefined) unconfirmed.delete(oldest);
  }

  function confirm(mark: number): void {
    for (const [ackSubject, added] of unconfirmed) {
      if (added > mark) return;
      unconfirmed.delete(ackSubject);
    }
  }

  function repeat(publish: (ackSubject: string) => void): void {
    for (const ackSubject of unconfirmed.keys()) publish(ackSubject);
  }

  return {
    add,
    markSent: () => {
      sent = counter;
    },
    mark: () => sent,
    confirm,
    repeat,
    get size() {
      return unconfirmed.size;
    },
  };
}

// Ledger of unconfirmed acks: kept until a later ping is answered, repeated after a reconnect.

/** Above this, the oldest acks are dropped: a lost ack costs a duplicate, no message. */
const LIMIT = 10_000;
/** Share of the limit that is dropped at once: removing from the front of an array one by one is slow. */
const DROPPED_SHARE = 0.1;

export interface AckLedger {
  add: (ackSubject: string) => void;
  /** Marks all acks added so far as sent. */
  markSent: () => void;
  /** A mark of everything sent so far. Pass it to `confirm` when a later ping is answered. */
  mark: () => number;
  confirm: (mark: number) => void;
  /** Each ack that is not confirmed, oldest first. */
  unconfirmed: () => readonly string[];
  readonly size: number;
}

export function createAckLedger(limit: number = LIMIT): AckLedger {
  const unconfirmed: string[] = [];
  /** Number of acks that were confirmed or dropped. */
  let gone = 0;
  let sent = 0;

  function drop(count: number): void {
    if (count <= 0) return;
    unconfirmed.splice(0, count);
    gone += count;
  }

  return {
    add(ackSubject) {
      unconfirmed.push(ackSubject);
      if (unconfirmed.length > limit) drop(Math.ceil(limit * DROPPED_SHARE));
    },
    markSent: () => {
      sent = gone + unconfirmed.length;
    },
    mark: () => sent,
    confirm: (mark) => drop(mark - gone),
    unconfirmed: () => unconfirmed,
    get size() {
      return unconfirmed.length;
    },
  };
}

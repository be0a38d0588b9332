// Acks that the server may not have seen yet: kept until a later ping is answered, repeated after a reconnect.

/** An acknowledged message whose ack is lost comes again, so losing the oldest of too many costs a duplicate only. */
const LIMIT = 10_000;
/** So many are dropped at once, by a share of the limit: an array is slow to lose one after the other. */
const DROPPED_SHARE = 0.1;

export interface AckLedger {
  add: (ackSubject: string) => void;
  /** Everything added so far has been sent. */
  markSent: () => void;
  /** Everything sent so far; to be given to `confirm` when a ping sent after it is answered. */
  mark: () => number;
  confirm: (mark: number) => void;
  /** Each ack that is not confirmed, oldest first. */
  unconfirmed: () => readonly string[];
  readonly size: number;
}

export function createAckLedger(limit: number = LIMIT): AckLedger {
  const unconfirmed: string[] = [];
  /** Of all that were ever added. */
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

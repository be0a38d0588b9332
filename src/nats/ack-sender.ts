// Sends acks: at once where something waits for them or few come, else some together; again after a reconnect, until they are
// confirmed.
//
// Where many come, a write for each costs more than all else that is done for a message; where few come, a timer for each does.

import { createAckLedger } from "./ack-ledger.ts";

export interface AckSender {
  /** Now, or after the next connect. One that is not urgent may wait a millisecond for others where one was sent just before. */
  send: (ackSubject: string, options: { isUrgent: boolean }) => void;
  /** What waits for others is sent now. */
  flush: () => void;
  /** After a connect: everything that is not confirmed is sent again. */
  repeat: () => void;
  /** Everything sent so far; to be given to `confirm` when a ping sent after it is answered. */
  mark: () => number;
  confirm: (mark: number) => void;
  readonly unconfirmed: number;
}

const GATHER_MS = 1;
/** After so long without an ack few come. */
const QUIET_MS = 5;

/** `publish` must not throw; nothing is published while `isUp` is false. */
export function createAckSender(options: {
  readonly publish: (ackSubjects: readonly string[]) => void;
  readonly isUp: () => boolean;
}): AckSender {
  const ledger = createAckLedger();
  let waiting: string[] = [];
  let timer: ReturnType<typeof setTimeout> | null = null;
  let flushedAt = Number.NEGATIVE_INFINITY;

  function flush(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    const acks = waiting;
    waiting = [];
    if (!options.isUp()) return;
    if (acks.length > 0) {
      flushedAt = performance.now();
      options.publish(acks);
    }
    ledger.markSent();
  }

  return {
    send(ackSubject, { isUrgent }) {
      ledger.add(ackSubject);
      if (!options.isUp()) return;
      waiting.push(ackSubject);
      if (isUrgent || performance.now() - flushedAt > QUIET_MS) flush();
      else timer ??= setTimeout(flush, GATHER_MS);
    },
    flush,
    repeat() {
      waiting = [];
      options.publish(ledger.unconfirmed());
      ledger.markSent();
    },
    mark: ledger.mark,
    confirm: ledger.confirm,
    get unconfirmed() {
      return ledger.size;
    },
  };
}

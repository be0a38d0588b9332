// Sends acks: at once if something waits for them or few come, else in batches. Repeats them after a reconnect until confirmed.
//
// With many acks, one write each costs more than the rest of a message's work; with few acks, one timer each does.

import { createAckLedger } from "./ack-ledger.ts";

export interface AckSender {
  /** Sends now, or after the next connect. An ack that is not urgent may wait 1 ms for others if one was sent just before. */
  send: (ackSubject: string, options: { isUrgent: boolean }) => void;
  /** Sends the waiting acks now. */
  flush: () => void;
  /** Sends all unconfirmed acks again, after a connect. */
  repeat: () => void;
  /** A mark of everything sent so far. Pass it to `confirm` when a later ping is answered. */
  mark: () => number;
  confirm: (mark: number) => void;
  readonly unconfirmed: number;
}

const GATHER_MS = 1;
/** After this long without an ack, the next one is sent at once. */
const QUIET_MS = 5;

/** `publish` must not throw. It is not called while `isUp` is false. */
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

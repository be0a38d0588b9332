// Sends acks: at once if something waits for them or few come, else in batches. Repeats them after a reconnect until confirmed.
//
// With many acks, one write each costs more than the rest of a message's work; with few acks, one timer each does.

import type { NatsConnection } from "@nats-io/transport-node";

import { createAckLedger } from "./ack-ledger.ts";
import { ackOwnerOf } from "./ack-subject.ts";

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

/** Internals of the library: `sendCommand` writes whole protocol commands. */
interface ClientInternals {
  readonly protocol?: { readonly sendCommand?: (commands: string) => void };
}

/**
 * Writes all acks in one go through the library's internals, because its `publish` encodes and copies each one. Falls back
 * to `send` if a release of the library renames them.
 */
export function writeAcks(
  client: NatsConnection | null,
  ackSubjects: readonly string[],
  send: (subject: string, payload: string) => void,
): void {
  const { protocol } = (client ?? {}) as ClientInternals;
  if (protocol?.sendCommand === undefined) {
    for (const ackSubject of ackSubjects) send(ackSubject, "+ACK");
  } else if (client?.isClosed() === false) {
    let commands = "";
    for (const ackSubject of ackSubjects) commands += `PUB ${ackSubject} 4\r\n+ACK\r\n`;
    if (commands !== "") protocol.sendCommand(commands);
  }
}

type AckRefused = (ackSubject: string, reason: string) => void;

/** Reports acks that the server forbids. */
export interface AckRefusals {
  /** Calls `listener` for acks to that consumer. Returns the unsubscribe. */
  readonly on: (
    consumer: { readonly stream: string; readonly durable: string },
    listener: AckRefused,
  ) => () => void;
  readonly tell: AckRefused;
}

export function createAckRefusals(): AckRefusals {
  /** By stream and consumer. */
  const listeners = new Map<string, AckRefused>();
  return {
    on({ stream, durable }, listener) {
      const owner = `${stream} ${durable}`;
      listeners.set(owner, listener);
      return () => {
        if (listeners.get(owner) === listener) listeners.delete(owner);
      };
    },
    tell: (ackSubject, reason) => listeners.get(ackOwnerOf(ackSubject))?.(ackSubject, reason),
  };
}

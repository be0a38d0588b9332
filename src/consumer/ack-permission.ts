// Permission to ack a consumer's messages: the server reports a denial to the connection, not to the message.
//
//   allowed --ack refused--> refused, reported --probe not refused--> allowed, reported
//
// The probe is an ack for no message. Without it, Relay would learn only from the next redelivery that acks pass again.

import { sleep } from "#lib/sleep.ts";

import { toProbe } from "#nats/ack-subject.ts";
import type { Connection } from "#nats/connection.ts";

interface AckPermission {
  /** Call it regularly: probes while acks are refused. */
  check: () => void;
  /** Null: no ack was refused. */
  readonly obstacle: string | null;
  close: () => void;
}

interface AckPermissionOptions {
  readonly stream: string;
  readonly durable: string;
  /** Called when `obstacle` changes. Must not throw. */
  readonly tell: () => void;
}

const PROBE_MS = 2000;
/** In the client library, the refusal of a probe takes another path than the answer to a ping, and may come later. */
const REFUSAL_MS = 500;

export function createAckPermission(
  connection: Pick<Connection, "onAckRefused" | "publish" | "flush">,
  { stream, durable, tell }: AckPermissionOptions,
): AckPermission {
  let obstacle: string | null = null;
  let probe = "";
  let refusals = 0;
  let isProbing = false;
  const closing = new AbortController();

  const forget = connection.onAckRefused({ stream, durable }, (ackSubject, reason) => {
    refusals += 1;
    probe = toProbe(ackSubject);
    if (obstacle !== null) return;
    // The same reason for all messages, though each one has its own ack subject.
    const why = reason.replace(ackSubject, `$JS.ACK.${stream}.${durable}.>`);
    obstacle = `Cannot consume ${stream} as ${durable}: its acks are refused: ${why}`;
    tell();
  });

  /** The server reports a refusal before it answers the next ping. */
  async function ask(): Promise<void> {
    const before = refusals;
    connection.publish(probe, "+WPI");
    const isSeen = await connection.flush(PROBE_MS);
    if (!isSeen || !(await sleep(REFUSAL_MS, closing.signal))) return;
    if (refusals !== before) return;
    obstacle = null;
    tell();
  }

  return {
    check() {
      if (obstacle === null || isProbing) return;
      isProbing = true;
      void ask().finally(() => (isProbing = false)); // Never rejects.
    },
    get obstacle() {
      return obstacle;
    },
    close() {
      closing.abort();
      forget();
    },
  };
}

// Whether the server lets this relay acknowledge what a consumer delivers: a denial is told to the connection, not to the message.
//
//   allowed --an answer of ours is refused--> refused, told --a probe is not refused--> allowed, told
//
// The probe is an answer to no message. Without it nothing would tell, until a message comes again, that acks pass now.

import { sleep } from "#lib/sleep.ts";

import { toProbe } from "#nats/ack-subject.ts";
import type { Connection } from "#nats/connection.ts";

interface AckPermission {
  /** To be called now and then. */
  check: () => void;
  /** Null: acks pass, as far as is known. */
  readonly obstacle: string | null;
  close: () => void;
}

interface AckPermissionOptions {
  readonly stream: string;
  readonly durable: string;
  /** Each reason, and null when acks pass again. Must not throw. */
  readonly tell: () => void;
}

const PROBE_MS = 2000;
/** The refusal of a probe takes another way through the client library than the answer to a ping. */
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
    // One reason for all: each message has an ack subject of its own.
    const why = reason.replace(ackSubject, `$JS.ACK.${stream}.${durable}.>`);
    obstacle = `Cannot consume ${stream} as ${durable}: its acks are refused: ${why}`;
    tell();
  });

  /** What the server refuses it says before it answers a ping. */
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

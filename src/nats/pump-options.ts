// What a pump is told, and what it tells about itself.

import type { Logger } from "#lib/logger.ts";

import type { Received } from "./received.ts";
import type { StreamRef } from "./stream.ts";

export interface PumpStats {
  readonly held: number;
  readonly capacity: number;
  /** Asked for and not yet come. */
  readonly outstanding: number;
  readonly pulls: number;
  readonly received: number;
  readonly silences: number;
  /** Of the last pull that did not end as it should. */
  readonly lastStatus: string | null;
}

export interface PumpOptions {
  readonly source: StreamRef & { readonly ackWaitMs: number };
  readonly durable: string;
  /** As the server wrote it: another one of that name is not pulled from. */
  readonly consumerCreated: string;
  /** False: nothing is redelivered, so pulls are short and their end is waited for. */
  readonly acks: boolean;
  /** Of the consumer; 1: the next message waits for the ack of this one. */
  readonly maxAckPending: number;
  readonly capacity: number;
  /** Must return at once. */
  readonly onMessage: (received: Received) => void;
  /** Called once: the consumer or its stream is gone, or another one took its place, and the pump has ended. */
  readonly onLost: (reason: string) => void;
  readonly logger: Logger;
}

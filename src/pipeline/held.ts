// A message between being received and being settled.

import type { Received } from "#consumer/received.ts";

export interface Held {
  /** The newest delivery of it: a redelivery brings a newer address for the answer. */
  received: Received;
  /** Since it was received: a redelivery starts anew. */
  attempts: number;
  /** False where nothing would deliver it again: without acknowledgements, or once it is acknowledged. */
  isRedeliverable: boolean;
}

// What a pipeline is made of, and whom it tells.

import type { Message } from "#delivery/message.ts";
import type { FailureCause } from "#delivery/status.ts";
import type { Logger } from "#lib/logger.ts";
import type { Capacity } from "#consumer/credit.ts";
import type { DeadLetters } from "#letters/store.ts";
import type { Received } from "#consumer/received.ts";
import type { Guard } from "./guard.ts";
import type { Observer } from "./observer.ts";
import type { TermsHolder } from "./terms.ts";
import type { Turns } from "./turns.ts";

export interface PumpHandlers {
  readonly capacity: Capacity;
  /** So many are held from the pump before: each is released by this one. */
  readonly held: number;
  readonly onMessage: (received: Received) => void;
}

export interface PipelineOptions {
  readonly terms: TermsHolder;
  /** Of the subscription: what is replayed takes them too. */
  readonly turns: Turns;
  readonly guard: Guard;
  /** True: it is to be acknowledged without a request. */
  readonly isSkipped: (message: Message) => boolean;
  /** Null: the subscription has none. */
  readonly deadLetters: DeadLetters | null;
  /** When NATS was last known to have heard from here, on the clock of `performance.now`. */
  readonly lastContactAt: () => number;
  /** One message at a time until one is delivered. */
  readonly isProbe: boolean;
  readonly observer: Observer;
  readonly logger: Logger;
  /** Told once; the owner closes the pipeline then. */
  readonly onInterrupted: (cause: FailureCause) => void;
  /** NATS was silent for so long that another relay may hold the messages. The owner closes the pipeline then. */
  readonly onExpired: () => void;
  /** A probe was delivered. */
  readonly onRecovered: () => void;
}

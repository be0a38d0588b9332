// A subscription of this relay, as others see it and command it.

import type { Exchange } from "#callback/client.ts";
import type { Message } from "#delivery/message.ts";
import type { Command, FailureCause, OperatorStatus, SubscriptionStatus } from "#delivery/status.ts";
import type { DeliverPolicy, Subscription } from "#delivery/subscription.ts";
import type { PipelineStats } from "#pipeline/pipeline.ts";
import type { Replaying } from "./replaying.ts";

export type SubscriptionState =
  | { readonly kind: "asleep"; readonly reason: string }
  /** It would run, but something outside is not there. */
  | { readonly kind: "waiting"; readonly reason: string }
  | { readonly kind: "consuming" }
  | { readonly kind: "failed"; readonly cause: FailureCause | null }
  | { readonly kind: "closed" }
  | { readonly kind: "stopped" };

export interface RunningSubscription {
  readonly subscription: Subscription;
  state: () => SubscriptionState;
  status: () => SubscriptionStatus;
  stats: () => PipelineStats;
  /** Resolves when it is stored, or waits for that: `notStored` says so. Rejects with a RelayError: it has no effect. */
  command: (command: Command) => Promise<void>;
  /** Why a command that was given here is not stored yet; null: all are. */
  notStored: () => string | null;
  /**
   * Goes on elsewhere in the stream, in every relay; what is in flight has some seconds to end. Neither a pause nor a FAILURE
   * ends by it. Takes no longer than 30 s; rejects with a RelayError.
   */
  seek: (start: DeliverPolicy) => Promise<void>;
  /** Sends it once, with everything that is configured; it is in no stream, and nothing follows from what comes of it. */
  test: (message: Message) => Promise<Exchange>;
  /** Sends a dead letter in turn with the live messages; waits while it does not run, and changes nothing of its state. */
  replay: Replaying["replay"];
  /** New terms of delivery, from the next attempt on; they end a FAILURE. */
  update: (subscription: Subscription) => void;
  /** What its definition says now of its status. */
  declare: (status: OperatorStatus) => void;
  /** Ends a FAILURE, for its configuration has changed. */
  recover: () => void;
  /** It was deleted: the state that the cluster keeps of it goes with it. */
  forget: () => void;
  /**
   * Gives back what waits, waits up to `graceMs` for what is in flight. Resolves when all of it is closed. Called again, it can
   * only shorten the grace.
   */
  stop: (graceMs: number) => Promise<void>;
}

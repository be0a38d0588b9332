// The interface of a running subscription: its state, its stats and its commands.

import type { Exchange } from "#delivery/exchange.ts";
import type { Message } from "#delivery/message.ts";
import type { Command, FailureCause, OperatorStatus, SubscriptionStatus } from "#delivery/status.ts";
import type { DeliverPolicy, Subscription } from "#delivery/subscription.ts";
import type { DryRun } from "#pipeline/dry-run.ts";
import type { Pipeline, PipelineStats } from "#pipeline/pipeline.ts";
import type { Pace } from "#pipeline/turns.ts";
import type { Replaying } from "./replaying.ts";
import type { SeatHolder } from "./seats.ts";

/** The words that API, command line, page and metrics show. */
export type SubscriptionState =
  | { readonly kind: "running" }
  /** `isFault`: something outside is missing, such as NATS or its stream. False: it waits its turn, as after a Retry-After. */
  | { readonly kind: "waiting"; readonly reason: string; readonly isFault: boolean }
  | { readonly kind: "failed"; readonly cause: FailureCause | null }
  /** By an operator. */
  | { readonly kind: "paused"; readonly reason: string }
  /** By its consumer, or by this relay, which ends it. */
  | { readonly kind: "stopped"; readonly reason: string }
  /** Its `startingAt` is to come. */
  | { readonly kind: "scheduled"; readonly reason: string }
  /** Its `endingAt` is over. */
  | { readonly kind: "closed" };

export interface RunningSubscription {
  readonly subscription: Subscription;
  state: () => SubscriptionState;
  status: () => SubscriptionStatus;
  stats: () => PipelineStats;
  /** Keys that are parked here, oldest first; empty: none, or another relay is the active one. */
  parked: Pipeline["parked"];
  /** As `Pipeline` has it; "not-parked" also where another relay is the active one. */
  resumeParked: Pipeline["resumeParked"];
  pace: () => Pace;
  /** When it sends something again: its probe, its first retry, or the end of a pause. Null: it waits for none of these. */
  nextTryAt: () => Date | null;
  /** The relay that delivers an ordered subscription; null: it is not ordered, or nobody can say. */
  active: () => SeatHolder | null;
  /** Why an ordered subscription delivers one message at a time only; null: it does not. */
  oneByOne: () => string | null;
  /** Resolves when the command is stored or queued (see `notStored`). Rejects with a RelayError if it has no effect. */
  command: (command: Command) => Promise<void>;
  /** Why a command given to this relay is not stored yet; null: all are stored. */
  notStored: () => string | null;
  /**
   * Moves the subscription in its stream, for every relay. Messages in flight get some seconds to end. A pause or a FAILURE
   * stays. Takes at most 30 s. Rejects with a RelayError.
   */
  seek: (start: DeliverPolicy) => Promise<void>;
  /** Sends a test message once, with the configured headers, auth and signature. Its outcome changes nothing. */
  test: (message: Message) => Promise<Exchange>;
  /** What a message would become. Sends nothing. */
  dryRun: (message: Message) => Promise<DryRun>;
  /** Sends a dead letter in turn with the live messages. Waits while the subscription does not run; leaves its state alone. */
  replay: Replaying["replay"];
  /** Sets new delivery terms, used from the next attempt on. Ends a FAILURE. */
  update: (subscription: Subscription) => void;
  /** Tells the status that its definition now asks for. */
  declare: (status: OperatorStatus) => void;
  /** Ends a FAILURE because the configuration has changed. */
  recover: () => void;
  /** The subscription was deleted: removes the state that the cluster stores for it. */
  forget: () => void;
  /**
   * Gives waiting messages back, and waits up to `graceMs` for those in flight. Resolves when all is closed. A second call
   * can only shorten the grace.
   */
  stop: (graceMs: number) => Promise<void>;
}

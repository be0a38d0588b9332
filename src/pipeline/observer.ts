// The events that a pipeline reports to its observers: metrics, the process log, the demo.

import type { Exchange } from "#delivery/exchange.ts";
import type { Message } from "#delivery/message.ts";
import type { Exception, Failure } from "#delivery/outcome.ts";
import type { Action } from "#delivery/policy.ts";
import type { Subscription } from "#delivery/subscription.ts";
import type { Trace } from "#delivery/trace.ts";

export interface Attempted {
  /** The same object in all reports of one message. */
  readonly key: object;
  readonly subscription: Subscription;
  readonly message: Message;
  /** 1 is the first since the message was received. */
  readonly attempt: number;
  readonly exchange: Exchange;
  readonly action: Action;
  /** What `trace` gave. */
  readonly trace: Trace | null;
}

/**
 * How a message was settled. `marker`: not a message, but a delete marker of the server. `suppressed`: completed before,
 * acknowledged without a request. `skipped`: the same, by command. `filtered`: the same, for its subscription does not
 * want it. `failed-again`: a replayed letter stays a dead letter, a resent message stays where it is.
 * `returned`: given back to the stream. `lost`: neither delivered nor stored, and nothing will deliver it again.
 */
export type Ending =
  | { readonly kind: "delivered" }
  | { readonly kind: "marker" }
  | { readonly kind: "suppressed" }
  | { readonly kind: "skipped" }
  | { readonly kind: "filtered" }
  | { readonly kind: "dead-lettered"; readonly failure: Failure; readonly endpoint: string }
  | {
      readonly kind: "failed-again";
      readonly failure: Failure;
      /** Null: a message of the stream was sent once more. */
      readonly letter: { readonly id: string; readonly endpoint: string } | null;
    }
  /** Too old when its turn came. `endpoint` null: there is none for its dead letter. */
  | { readonly kind: "expired"; readonly failure: Failure; readonly endpoint: string | null }
  | { readonly kind: "dropped"; readonly failure: Failure }
  | { readonly kind: "lost"; readonly failure: Failure }
  | { readonly kind: "returned" };

export interface Settled {
  /** As in `Attempted`. */
  readonly key: object;
  readonly subscription: Subscription;
  readonly message: Message;
  readonly attempts: number;
  readonly ending: Ending;
  /** What `trace` gave; null for a message that ended at once. */
  readonly trace: Trace | null;
}

/** Nothing was sent for lack of a file descriptor: the message waits, and it was not an attempt. */
export interface Postponed {
  readonly subscription: Subscription;
  readonly exception: Exception;
}

/** Called on the hot path: be quick and do not throw. */
export interface Observer {
  attempted: (report: Attempted) => void;
  settled: (report: Settled) => void;
  postponed: (report: Postponed) => void;
  /** Asked when a message begins: the trace that its requests carry on. Absent, or null: they carry on none. */
  readonly trace?: (message: Message) => Trace | null;
}

/** Reports to each of `observers` in turn. `tracing`: the one of them that gives traces. */
export function joinObservers(
  observers: readonly Observer[],
  { trace }: Pick<Observer, "trace"> = {},
): Observer {
  return {
    ...(trace === undefined ? {} : { trace }),
    attempted: (report) => {
      for (const observer of observers) observer.attempted(report);
    },
    settled: (report) => {
      for (const observer of observers) observer.settled(report);
    },
    postponed: (report) => {
      for (const observer of observers) observer.postponed(report);
    },
  };
}

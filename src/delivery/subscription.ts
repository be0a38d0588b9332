// The settings of a subscription, with defaults applied and secrets resolved.

import type { Retry } from "./backoff.ts";
import type { CallbackSettings } from "./callback.ts";
import type { Qos } from "./policy.ts";
import type { RecordSettings } from "./record.ts";

export type DeliverPolicy =
  | { readonly kind: "all" }
  | { readonly kind: "new" }
  | { readonly kind: "last" }
  | { readonly kind: "start-sequence"; readonly sequence: number }
  | { readonly kind: "start-time"; readonly time: Date };

/** Where the messages of a subscription come from. */
export interface Source {
  readonly domain: string | null;
  readonly stream: string;
  /** NATS subject filters; empty: every subject of the stream. */
  readonly filterSubjects: readonly string[];
  readonly deliverPolicy: DeliverPolicy;
  /** How soon another relay takes over what a dead one held. */
  readonly ackWaitMs: number;
}

/** An endpoint that takes dead letters. */
export interface DeadLetterEndpoint {
  readonly name: string;
  readonly domain: string | null;
  readonly stream: string;
  /** Letters are stored below this subject. */
  readonly subject: string;
  /** How to make the stream if it is missing; null: it is not made. */
  readonly create: DeadLetterStreamSettings | null;
}

export interface DeadLetterStreamSettings {
  /** 0: without limit. */
  readonly maxAgeMs: number;
  /** -1: without limit. */
  readonly maxBytes: number;
  readonly replicas: number;
}

export type Resume =
  | { readonly kind: "manual" }
  | { readonly kind: "auto"; readonly initialDelayMs: number; readonly maxDelayMs: number };

/** How dead letters are replayed without being told to. */
export type ReplaySchedule =
  | { readonly kind: "manual" }
  | { readonly kind: "scheduled"; readonly intervalMs: number; readonly maxReplays: number };

export interface Subscription {
  readonly id: string;
  readonly application: string | null;
  readonly entrypoint: string;
  readonly qos: Qos;
  readonly source: Source;
  /** Tried in order; empty: no dead letters. */
  readonly deadLetters: readonly DeadLetterEndpoint[];
  readonly callback: CallbackSettings;
  readonly retry: Retry;
  readonly interruptOnServerError: boolean;
  readonly interruptOnException: boolean;
  readonly resume: Resume;
  readonly replay: ReplaySchedule;
  /** What the delivery log keeps of it. */
  readonly recording: RecordSettings;
  /** It runs from `startingAt` (inclusive) to `endingAt` (exclusive); null: without that end. */
  readonly startingAt: Date | null;
  readonly endingAt: Date | null;
  /** As the file wants it. */
  readonly isPaused: boolean;
}

/** The durable consumer of a subscription. */
export function durableName(subscriptionId: string): string {
  return `relay-${subscriptionId}`;
}

/** Ordered subscriptions have one message in flight. */
export function isOrdered(qos: Qos): boolean {
  return qos === "AT_LEAST_ONCE" || qos === "AT_MOST_ONCE";
}

/** How many requests may be in flight at once. */
export function concurrencyOf(subscription: Subscription): number {
  return isOrdered(subscription.qos) ? 1 : subscription.callback.maxConcurrentConnections;
}

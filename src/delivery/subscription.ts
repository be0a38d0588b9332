// The settings of a subscription, with defaults applied and secrets resolved.

import type { Retry } from "./backoff.ts";
import type { CallbackSettings } from "./callback.ts";
import type { Ordering } from "./ordering.ts";
import type { Qos } from "./policy.ts";
import type { RecordSettings } from "./record.ts";
import type { ShapeSettings } from "./shape.ts";

export type DeliverPolicy =
  | { readonly kind: "all" }
  | { readonly kind: "new" }
  | { readonly kind: "last" }
  | { readonly kind: "start-sequence"; readonly sequence: number }
  | { readonly kind: "start-time"; readonly time: Date };

/** The source of a subscription's messages. */
export interface Source {
  readonly domain: string | null;
  readonly stream: string;
  /** NATS subject filters; empty: every subject of the stream. */
  readonly filterSubjects: readonly string[];
  readonly deliverPolicy: DeliverPolicy;
  /** How soon another relay takes over the messages of a dead one. */
  readonly ackWaitMs: number;
}

/** An endpoint for dead letters. */
export interface DeadLetterEndpoint {
  readonly name: string;
  readonly domain: string | null;
  readonly stream: string;
  /** Prefix of the letters' subjects. */
  readonly subject: string;
  /** How to create the stream if it is missing; null: do not create it. */
  readonly create: DeadLetterStreamSettings | null;
}

export interface DeadLetterStreamSettings {
  /** 0: unlimited. */
  readonly maxAgeMs: number;
  /** -1: unlimited. */
  readonly maxBytes: number;
  readonly replicas: number;
}

export type Resume =
  | { readonly kind: "manual" }
  | { readonly kind: "auto"; readonly initialDelayMs: number; readonly maxDelayMs: number };

/** Automatic replays of dead letters. */
export type ReplaySchedule =
  | { readonly kind: "manual" }
  | { readonly kind: "scheduled"; readonly intervalMs: number; readonly maxReplays: number };

/** A token bucket, which starts full. */
export interface RateLimit {
  readonly requests: number;
  readonly perSeconds: number;
  readonly burst: number;
}

export interface Subscription {
  readonly id: string;
  readonly application: string | null;
  readonly entrypoint: string;
  readonly qos: Qos;
  /** Null: none is kept. */
  readonly ordering: Ordering | null;
  readonly source: Source;
  /** Tried in order; empty: no dead letters. */
  readonly deadLetters: readonly DeadLetterEndpoint[];
  readonly callback: CallbackSettings;
  readonly shape: ShapeSettings;
  /** Texts of its owner, which expressions see. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly retry: Retry;
  /** Null: no limit. */
  readonly rateLimit: RateLimit | null;
  /** An older message is not sent when its turn comes; null: any is. */
  readonly maxAgeMs: number | null;
  readonly interruptOnServerError: boolean;
  readonly interruptOnException: boolean;
  readonly resume: Resume;
  readonly replay: ReplaySchedule;
  /** What the delivery log keeps of it. */
  readonly recording: RecordSettings;
  /** It runs from `startingAt` (inclusive) to `endingAt` (exclusive); null: unlimited. */
  readonly startingAt: Date | null;
  readonly endingAt: Date | null;
  /** The status in the file. */
  readonly isPaused: boolean;
}

/** The durable consumer of a subscription. */
export function durableName(subscriptionId: string): string {
  return `relay-${subscriptionId}`;
}

/** Ordered subscriptions have one message in flight, of each key. */
export function isOrdered(qos: Qos): boolean {
  return qos === "AT_LEAST_ONCE" || qos === "AT_MOST_ONCE";
}

/** The maximum of requests in flight: in strict order one at a time. */
export function concurrencyOf({ qos, ordering, callback }: Subscription): number {
  const isStrict = isOrdered(qos) && (ordering?.key.kind ?? "none") === "none";
  return isStrict ? 1 : callback.maxConcurrentConnections;
}

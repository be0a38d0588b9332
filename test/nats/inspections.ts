// Subscriptions and dead-letter endpoints to hold against a server, and what is found about them, as lines.

import type { DeadLetterEndpoint, DeliverPolicy, Subscription } from "#delivery/subscription.ts";
import { inspectNats } from "#nats/inspect.ts";
import type { NatsSettings } from "#nats/settings.ts";

export interface Wanted {
  readonly id?: string;
  readonly stream?: string;
  readonly domain?: string | null;
  readonly filterSubjects?: readonly string[];
  readonly deliverPolicy?: DeliverPolicy;
  readonly qos?: Subscription["qos"];
  readonly deadLetters?: readonly DeadLetterEndpoint[];
  readonly isPaused?: boolean;
}

export function subscription(wanted: Wanted = {}): Subscription {
  return {
    id: wanted.id ?? "billing",
    application: null,
    entrypoint: "webhook",
    qos: wanted.qos ?? "AUTO",
    source: {
      domain: wanted.domain ?? null,
      stream: wanted.stream ?? "ORDERS",
      filterSubjects: wanted.filterSubjects ?? [],
      deliverPolicy: wanted.deliverPolicy ?? { kind: "all" },
      ackWaitMs: 30_000,
    },
    deadLetters: wanted.deadLetters ?? [],
    callback: {
      url: new URL("http://127.0.0.1:9000/"),
      displayUrl: "http://127.0.0.1:9000/",
      method: "POST",
      headers: [],
      connectTimeoutMs: 3000,
      readTimeoutMs: 10_000,
      idleTimeoutMs: 60_000,
      maxConcurrentConnections: 5,
    },
    retry: { kind: "none" },
    interruptOnServerError: true,
    interruptOnException: true,
    resume: { kind: "manual" },
    startingAt: null,
    endingAt: null,
    isPaused: wanted.isPaused ?? false,
  };
}

export function letters(stream: string, changes: Partial<DeadLetterEndpoint> = {}): DeadLetterEndpoint {
  return {
    name: `to-${stream}`,
    domain: null,
    stream,
    subject: stream.toLowerCase(),
    create: null,
    ...changes,
  };
}

/** How a missing stream is made, without limits. */
export const CREATE = { maxAgeMs: 0, maxBytes: -1, replicas: 1 };

/** `level about: message`, without what is said about the version of the server. */
export async function found(
  subscriptions: readonly Subscription[],
  settings: NatsSettings,
): Promise<string[]> {
  const { findings } = await inspectNats(settings, subscriptions, new AbortController().signal);
  return findings
    .filter(({ message }) => !message.includes("older than 2.10"))
    .map(({ level, about, message }) => `${level} ${about}: ${message}`);
}

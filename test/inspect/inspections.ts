// Subscriptions and dead-letter endpoints to hold against a server, and what is found about them, as lines.

import type { DeadLetterEndpoint, DeliverPolicy, Subscription } from "#delivery/subscription.ts";
import { inspectNats } from "#inspect/inspect.ts";
import type { NatsSettings } from "#nats/settings.ts";
import { toSubscription } from "../support/subscription.ts";

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
  const { stream, domain, filterSubjects, deliverPolicy, ...changes } = wanted;
  const { source } = toSubscription();
  return toSubscription({
    ...changes,
    source: {
      ...source,
      ...(stream === undefined ? {} : { stream }),
      ...(domain === undefined ? {} : { domain }),
      ...(filterSubjects === undefined ? {} : { filterSubjects }),
      ...(deliverPolicy === undefined ? {} : { deliverPolicy }),
    },
  });
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

const NEVER = new AbortController().signal;

/** How a missing stream is made, without limits. */
export const CREATE = { maxAgeMs: 0, maxBytes: -1, replicas: 1 };

/** `level about: message`, without what is said about the version of the server. */
export async function found(
  subscriptions: readonly Subscription[],
  settings: NatsSettings,
): Promise<string[]> {
  const { findings } = await inspectNats(settings, subscriptions, { bucket: "relay", signal: NEVER });
  return findings
    .filter(({ message }) => !message.includes("older than 2.10"))
    .map(({ level, about, message }) => `${level} ${about}: ${message}`);
}

// What tests of `relay check --connect` share: a server, subscriptions, dead-letter endpoints, and findings as lines.

import type { StreamConfig } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll } from "bun:test";
import type { DeadLetterEndpoint, DeliverPolicy, Subscription } from "#delivery/subscription.ts";
import { inspectNats } from "#inspect/inspect.ts";
import type { NatsSettings } from "#nats/settings.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream, connected, natsSettings, type TestConnection } from "../support/nats.ts";
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

interface SharedServer {
  readonly url: string;
  readonly client: NatsConnection;
  readonly connection: TestConnection;
  readonly stack: AsyncDisposableStack;
}

/** One server for all tests of the calling file. */
export function useServer() {
  let shared: SharedServer | null = null;
  const running = () => {
    if (shared === null) throw new Error("The server has not started");
    return shared;
  };

  beforeAll(async () => {
    const stack = new AsyncDisposableStack();
    const server = stack.use(await startNatsServer());
    const connection = stack.use(await connected(server.url));
    shared = { url: server.url, client: await server.connect(), connection, stack };
  });
  afterAll(() => shared?.stack.disposeAsync());

  return {
    url: () => running().url,
    client: () => running().client,
    connection: () => running().connection,
    isOld: () => (running().connection.status().serverVersion ?? "").startsWith("2.9."),
    /** Adds a stream for the subjects below its own name in lower case. */
    async addStream(name: string, config: Partial<StreamConfig> = {}): Promise<void> {
      await addStream(running().client, { name, subjects: [`${name.toLowerCase()}.>`], ...config });
    },
    found: (subscriptions: readonly Subscription[]) => found(subscriptions, natsSettings([running().url])),
  };
}

const NEVER = new AbortController().signal;

/** Creates a missing stream without limits. */
export const CREATE = { maxAgeMs: 0, maxBytes: -1, replicas: 1 };

/** The findings as `level about: message`, without the note about an old server. */
export async function found(
  subscriptions: readonly Subscription[],
  settings: NatsSettings,
): Promise<string[]> {
  const { findings } = await inspectNats(settings, subscriptions, { bucket: "relay", signal: NEVER });
  return findings
    .filter(({ message }) => !message.includes("older than 2.10"))
    .map(({ level, about, message }) => `${level} ${about}: ${message}`);
}

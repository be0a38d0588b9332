// The composition root: builds every part from a config, joins them, and takes them down in the right order.

import { join } from "node:path";
import { openCallback } from "#callback/client.ts";
import type { Config } from "#config/resolve.ts";
import { concurrencyOf, isOrdered, type Subscription } from "#delivery/subscription.ts";
import { createMetrics } from "#http/metrics.ts";
import { createServer } from "#http/server.ts";
import { type Logger, withFields } from "#lib/logger.ts";
import { openConnection } from "#nats/connection.ts";
import { alignConsumer } from "#nats/consumer.ts";
import { readConsumer } from "#nats/consumer-info.ts";
import { type DeadLetters, openDeadLetters } from "#nats/dead-letters.ts";
import { startPump } from "#nats/pump.ts";
import { openGuard } from "#pipeline/guard.ts";
import { joinObservers, type Observer } from "#pipeline/observer.ts";
import { createPipeline } from "#pipeline/pipeline.ts";
import { type Runtime, startRuntime } from "#runtime/runtime.ts";
import type { SubscriptionParts } from "#runtime/subscription.ts";
import { createLogObserver } from "./log-observer.ts";
import { type Fetch, type Listener, listenSocket, listenTcp } from "./listen.ts";

export interface App {
  /** `http://host:port/`; null: there is no TCP listener. */
  readonly url: string | null;
  readonly runtime: Runtime;
  /** Drains: nothing new, up to the grace period for what is in flight, the rest goes back. */
  stop: () => Promise<void>;
}

export interface AppOptions {
  readonly logger: Logger;
  /** Told of every attempt and every ending, beside metrics and log. */
  readonly observers: readonly Observer[];
}

const LISTENER_GRACE_MS = 2000;

/** Rejects with a RelayError if a listener cannot be opened: nothing is left running then. NATS is waited for meanwhile. */
export async function startApp(config: Config, { logger, observers }: AppOptions): Promise<App> {
  const closing = new AbortController();
  let runtime: Runtime | null = null;
  const metrics = createMetrics({
    subscriptions: () => runtime?.subscriptions ?? [],
    connection: () => connection.status(),
  });
  const server = createServer({
    readiness: () => runtime?.readiness() ?? { isReady: false, reasons: ["The relay is starting"], idle: [] },
    metrics: metrics.expose,
  });
  const listeners = await openListeners(config, server.fetch);
  const connection = openConnection(config.nats, { logger, signal: closing.signal });
  const observer = joinObservers([metrics.observer, createLogObserver(logger), ...observers]);
  const deadLetters = shareDeadLetters((endpoints) => openDeadLetters(connection, endpoints, { logger }));

  function partsFor(subscription: Subscription): SubscriptionParts {
    return {
      connected: connection.ready,
      lastContactAt: connection.lastContactAt,
      alignConsumer: (settings, position) => alignConsumer(connection, settings, position),
      async readAckFloor(settings) {
        const { domain, stream } = settings.source;
        const consumer = await readConsumer(connection, { domain, stream, durable: settings.durable });
        return consumer?.ackFloor ?? null;
      },
      startPump: (settings, handlers) =>
        startPump(connection, {
          ...settings,
          ...handlers,
          logger: withFields(logger, { subscription: subscription.id }),
        }),
      openGuard: ({ id, qos }) =>
        openGuard(join(config.state.directory, "journal", id), {
          isPrompt: isOrdered(qos),
          logger: withFields(logger, { subscription: id }),
        }),
      openCallback: (wanted) => openCallback(wanted.callback, { connections: concurrencyOf(wanted) }),
      createPipeline,
      deadLetters: deadLetters.of(subscription),
      observer,
      logger: withFields(logger, { subscription: subscription.id }),
    };
  }

  const started = startRuntime(config.subscriptions, {
    partsFor,
    isConnected: () => connection.isConnected,
    deadLetterChecks: () => deadLetters.all().map((shared) => shared.check()),
  });
  runtime = started;
  return {
    url: listeners.find(({ address }) => address.startsWith("http"))?.address ?? null,
    runtime: started,
    async stop() {
      await started.stop(config.shutdown.graceMs);
      await connection.close();
      closing.abort();
      await Promise.all(listeners.map((listener) => listener.close(LISTENER_GRACE_MS)));
    },
  };
}

/** The socket in the state directory is there in any case: it keeps a second relay from the same journals. */
async function openListeners(config: Config, fetch: Fetch): Promise<readonly Listener[]> {
  const { listen, controlSocket } = config.server;
  const sockets = new Set([join(config.state.directory, "relay.sock"), controlSocket]);
  const opened: Listener[] = [];
  try {
    for (const path of sockets) opened.push(await listenSocket(path, fetch));
    if (listen !== null) opened.push(await listenTcp(listen, fetch));
    return opened;
  } catch (error) {
    await Promise.all(opened.map((listener) => listener.close(0)));
    throw error;
  }
}

/** Subscriptions with the same dead-letter endpoints share what stores into them. */
function shareDeadLetters(open: (endpoints: Subscription["deadLetters"]) => DeadLetters): {
  of: (subscription: Subscription) => DeadLetters | null;
  all: () => readonly DeadLetters[];
} {
  const shared = new Map<string, DeadLetters>();
  return {
    of({ deadLetters: endpoints }) {
      if (endpoints.length === 0) return null;
      const key = endpoints.map(({ name }) => name).join("\n");
      const known = shared.get(key) ?? open(endpoints);
      shared.set(key, known);
      return known;
    },
    all: () => [...shared.values()],
  };
}

// Builds the parts of a subscription: callback, consumer, replay guard, dead letters, state.

import { type Callback, openCallback } from "#callback/client.ts";
import { concurrencyOf, isOrdered, type Subscription } from "#delivery/subscription.ts";
import { type Logger, withFields } from "#lib/logger.ts";
import type { Connection } from "#nats/connection.ts";
import { alignConsumer, makeConsumer } from "#consumer/consumer.ts";
import { readConsumer } from "#consumer/info.ts";
import { moveConsumer } from "#consumer/move.ts";
import type { DeadLetters } from "#letters/store.ts";
import type { Lag } from "#consumer/lag.ts";
import { startPump } from "#consumer/pump.ts";
import { openGuard } from "#pipeline/guard.ts";
import type { Observer } from "#pipeline/observer.ts";
import { createPipeline } from "#pipeline/pipeline.ts";
import type { Progress } from "#runtime/progress.ts";
import type { Seats } from "#runtime/seats.ts";
import { createSharedBackoff } from "#runtime/shared-backoff.ts";
import type { States } from "#runtime/states.ts";
import type { SubscriptionParts } from "#runtime/subscription.ts";
import { createDenialLog, type WaitsLog } from "./log-observer.ts";
import type { OpenCallbacks } from "./open-callbacks.ts";
import { followDeadLetters, type SharedDeadLetters } from "./share-dead-letters.ts";

interface PartsSource {
  readonly connection: Connection;
  readonly states: States;
  readonly seats: Seats;
  readonly deadLetters: SharedDeadLetters;
  readonly openCallbacks: OpenCallbacks;
  readonly waitsLog: WaitsLog;
  readonly progress: Progress;
  readonly observer: Observer;
  readonly logger: Logger;
  /** The file of its replay guard. */
  readonly guardPath: (id: string) => string;
  readonly lag: () => Lag;
  /** How many subscriptions share the connection. */
  readonly pumps: () => number;
  /** Its current settings; null: removed, or not known yet. */
  readonly wanted: (id: string) => Subscription | null;
}

export function createSubscriptionParts(
  source: PartsSource,
): (subscription: Subscription) => SubscriptionParts {
  const { connection, states, deadLetters, openCallbacks, progress, lag, wanted } = source;
  const backoff = createSharedBackoff();

  function lettersOf(subscription: Subscription): DeadLetters | null {
    const first = deadLetters.of(subscription);
    if (first === null) return null;
    return followDeadLetters(first, () => deadLetters.of(wanted(subscription.id) ?? subscription));
  }

  function callbackOf(subscription: Subscription, logger: Logger): Callback {
    const { id, callback } = subscription;
    const opened = openCallback(callback, {
      connections: concurrencyOf(subscription),
      onDenied: createDenialLog(logger),
    });
    return openCallbacks.keep(id, progress.watch(opened, callback.readTimeoutMs));
  }

  return (subscription) => {
    const { id } = subscription;
    const logger = source.waitsLog(id, withFields(source.logger, { subscription: id }));
    return {
      connected: connection.ready,
      isConnected: () => connection.isConnected,
      reconnects: () => connection.status().reconnects,
      onReconnect: connection.onReconnect,
      seat: subscription.qos === "AT_LEAST_ONCE" ? source.seats.of(id, subscription.source.ackWaitMs) : null,
      pausedUntil: () => lag().pausedUntil(subscription),
      lastPongAt: connection.lastPongAt,
      alignConsumer: (settings, options) => alignConsumer(connection, settings, options),
      makeConsumer: (settings, options) => makeConsumer(connection, settings, options),
      readConsumer: ({ source: { domain, stream }, durable }) =>
        readConsumer(connection, { domain, stream, durable }),
      followConsumer: ({ source: { domain, stream }, durable }, take) =>
        lag().follow({ domain, stream, durable }, take),
      startPump: (settings, handlers) =>
        startPump(connection, { ...settings, ...handlers, pumps: source.pumps, logger }),
      openGuard: ({ qos }) =>
        openGuard(source.guardPath(id), {
          isPrompt: isOrdered(qos),
          needsFile: qos === "AT_MOST_ONCE",
          logger,
        }),
      openCallback: (now) => callbackOf(now, logger),
      createPipeline,
      backoff,
      status: states.of(id, subscription.isPaused ? "PAUSED" : "ACCEPTED", {
        application: () => (wanted(id) ?? subscription).application,
      }),
      moveConsumer: (settings, start) => moveConsumer(connection, settings, start),
      deadLetters: lettersOf(subscription),
      observer: source.observer,
      logger,
    };
  };
}

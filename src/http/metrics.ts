// What Prometheus scrapes: counted as it happens, gauges read when asked.

import { Gauge, Histogram, Registry } from "prom-client";
import type { Subscription } from "#delivery/subscription.ts";
import { COMMIT, VERSION } from "#lib/version.ts";
import type { Observer } from "#pipeline/observer.ts";
import type { RunningSubscription, SubscriptionState } from "#runtime/running.ts";
import type { StateChange } from "#runtime/states.ts";
import { createCounts } from "./counts.ts";

export interface MetricsSources {
  readonly subscriptions: () => readonly RunningSubscription[];
  readonly connection: () => { connected: boolean; reconnects: number };
}

export interface Metrics {
  readonly observer: Observer;
  readonly stateChanged: (change: StateChange) => void;
  /** The exposition in Prometheus' text format. */
  expose: () => Promise<{ contentType: string; text: string }>;
}

const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const STATES: readonly SubscriptionState["kind"][] = [
  "asleep",
  "waiting",
  "consuming",
  "failed",
  "closed",
  "stopped",
];

/** `sources` may be called as soon as `expose` is. Labels: subscription ids of the config and fixed words only. */
export function createMetrics(sources: MetricsSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counts = (name: string, help: string, label: string | null = null) =>
    createCounts({ name, help, label, registers });
  const attempts = counts("relay_attempts_total", "Requests to callbacks, by outcome", "outcome");
  const messages = counts("relay_messages_total", "Messages done with, by how they ended", "ending");
  const deadLetters = counts("relay_dead_letters_total", "Dead letters stored, by reason", "reason");
  const exceptions = counts("relay_exceptions_total", "Attempts without a response, by cause", "cause");
  const changes = counts("relay_state_changes_total", "Changes of state, by reason", "reason");
  const resent = counts("relay_resends_total", "Reused connections that broke: sent again at once");
  const dropped = counts("relay_dropped_headers_total", "Message headers that HTTP cannot carry");
  const duration = new Histogram({
    name: "relay_attempt_duration_seconds",
    help: "From taking a connection slot to the end of the response",
    labelNames: ["subscription"],
    buckets: DURATION_BUCKETS,
    registers,
  });
  const durations = new Map<string, ReturnType<typeof duration.labels>>();

  function durationOf({ id }: Subscription): ReturnType<typeof duration.labels> {
    const known = durations.get(id) ?? duration.labels(id);
    durations.set(id, known);
    return known;
  }

  exposeGauges(registers, sources);

  return {
    observer: {
      attempted({ subscription, exchange }) {
        const { outcome, durationMs, resends, droppedHeaders } = exchange;
        attempts.add(subscription.id, outcome.kind);
        durationOf(subscription).observe(durationMs / 1000);
        if (outcome.kind === "exception") exceptions.add(subscription.id, outcome.code);
        if (resends > 0) resent.add(subscription.id, "", resends);
        if (droppedHeaders > 0) dropped.add(subscription.id, "", droppedHeaders);
      },
      settled({ subscription, ending }) {
        messages.add(subscription.id, ending.kind);
        if (ending.kind === "dead-lettered") deadLetters.add(subscription.id, ending.failure.kind);
      },
    },
    stateChanged: ({ subscription, reason }) => changes.add(subscription, reason),
    async expose() {
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

function exposeGauges(registers: Registry[], { subscriptions, connection }: MetricsSources): void {
  const gauge = (
    name: string,
    help: string,
    labelNames: readonly string[],
    collect: (gauge: Gauge) => void,
  ) =>
    void new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        collect(this);
      },
    });
  const perSubscription = (name: string, help: string, read: (running: RunningSubscription) => number) =>
    gauge(name, help, ["subscription"], (own) => {
      for (const running of subscriptions())
        own.set({ subscription: running.subscription.id }, read(running));
    });
  perSubscription("relay_held_messages", "Received and not settled", ({ stats }) => stats().held);
  perSubscription("relay_in_flight_requests", "Requests under way", ({ stats }) => stats().inFlight);
  perSubscription("relay_retrying_messages", "Waiting for a retry", ({ stats }) => stats().retrying);
  perSubscription("relay_oldest_held_seconds", "Age of the oldest held message", ({ stats }) => {
    const { oldestHeldAt } = stats();
    return oldestHeldAt === null ? 0 : (performance.now() - oldestHeldAt) / 1000;
  });
  const stateHelp = "1 for the state that the subscription is in";
  gauge("relay_subscription_state", stateHelp, ["subscription", "state"], (own) => {
    for (const { subscription, state } of subscriptions()) {
      const current = state().kind;
      for (const kind of STATES)
        own.set({ subscription: subscription.id, state: kind }, kind === current ? 1 : 0);
    }
  });
  gauge("relay_nats_connected", "1 while NATS is connected", [], (own) =>
    own.set(connection().connected ? 1 : 0),
  );
  gauge("relay_nats_reconnects", "Reconnections since the start", [], (own) =>
    own.set(connection().reconnects),
  );
  gauge("relay_build_info", "1, with the version and the commit", ["version", "commit"], (own) =>
    own.set({ version: VERSION, commit: COMMIT }, 1),
  );
}

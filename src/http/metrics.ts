// What Prometheus scrapes: counted as it happens, gauges read when asked.

import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Subscription } from "#delivery/subscription.ts";
import { COMMIT, VERSION } from "#lib/version.ts";
import type { Observer } from "#pipeline/observer.ts";
import type { RunningSubscription, SubscriptionState } from "#runtime/subscription.ts";

export interface MetricsSources {
  readonly subscriptions: () => readonly RunningSubscription[];
  readonly connection: () => { connected: boolean; reconnects: number };
}

export interface Metrics {
  readonly observer: Observer;
  /** The exposition in Prometheus' text format. */
  expose: () => Promise<{ contentType: string; text: string }>;
}

type Bound = { inc: (value?: number) => void };

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
  const counter = (name: string, help: string, labelNames: readonly string[] = ["subscription"]) =>
    bindCounter(new Counter({ name, help, labelNames, registers }));
  const countAttempt = counter("relay_attempts_total", "Requests to callbacks, by outcome", [
    "subscription",
    "outcome",
  ]);
  const countEnding = counter("relay_messages_total", "Messages done with, by how they ended", [
    "subscription",
    "ending",
  ]);
  const countDeadLetter = counter("relay_dead_letters_total", "Dead letters stored, by reason", [
    "subscription",
    "reason",
  ]);
  const countException = counter("relay_exceptions_total", "Attempts without a response, by cause", [
    "subscription",
    "cause",
  ]);
  const countResend = counter("relay_resends_total", "Reused connections that broke: sent again at once");
  const countHeader = counter("relay_dropped_headers_total", "Message headers that HTTP cannot carry");
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
        countAttempt(subscription.id, outcome.kind).inc();
        durationOf(subscription).observe(durationMs / 1000);
        if (outcome.kind === "exception") countException(subscription.id, outcome.code).inc();
        if (resends > 0) countResend(subscription.id).inc(resends);
        if (droppedHeaders > 0) countHeader(subscription.id).inc(droppedHeaders);
      },
      settled({ subscription, ending }) {
        countEnding(subscription.id, ending.kind).inc();
        if (ending.kind === "dead-lettered") countDeadLetter(subscription.id, ending.failure.kind).inc();
      },
    },
    async expose() {
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

/** Finds the child of a label set without hashing an object each time. */
function bindCounter(counter: Counter): (...labels: string[]) => Bound {
  const children = new Map<string, Bound>();
  return (...labels) => {
    const key = labels.join("\n");
    const known = children.get(key) ?? counter.labels(...labels);
    children.set(key, known);
    return known;
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
  perSubscription("relay_interruptions", "Interruptions since the start", ({ interruptions }) =>
    interruptions(),
  );
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

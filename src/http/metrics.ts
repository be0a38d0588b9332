// Collects the metrics for Prometheus. Counts of a deleted subscription are dropped.

import { Registry } from "prom-client";
import type { Observer } from "#pipeline/observer.ts";
import type { StateChange } from "#runtime/states.ts";
import { createCounts } from "./by-subscription.ts";
import { createDurations } from "./durations.ts";
import { exposeGauges, type GaugeSources } from "./gauges.ts";
import { exposeProcess } from "./process-metrics.ts";

export interface Metrics {
  readonly observer: Observer;
  readonly stateChanged: (change: StateChange) => void;
  /** The exposition in Prometheus' text format. */
  expose: () => Promise<{ contentType: string; text: string }>;
}

const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** `sources` may be called as soon as `expose` is. Labels: ids of subscriptions and fixed words only. */
export function createMetrics(sources: GaugeSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counts = (name: string, help: string, label: string | null = null) =>
    createCounts({ name, help, label, registers });
  const attempts = counts("relay_attempts_total", "Requests to callbacks, by outcome", "outcome");
  const messages = counts("relay_messages_total", "Messages settled, by how they ended", "ending");
  const deadLetters = counts("relay_dead_letters_total", "Dead letters stored, by reason", "reason");
  const exceptions = counts("relay_exceptions_total", "Attempts without a response, by cause", "cause");
  const changes = counts("relay_state_changes_total", "Changes of state made here, by reason", "reason");
  const resent = counts(
    "relay_resends_total",
    "Requests sent again at once because a reused connection broke",
  );
  const postponed = counts(
    "relay_postponed_attempts_total",
    "Attempts put off because the relay had no file descriptor left",
  );
  const dropped = counts(
    "relay_dropped_headers_total",
    "Message headers dropped because HTTP cannot carry them",
  );
  const durations = createDurations({
    name: "relay_attempt_duration_seconds",
    help: "From taking a connection slot to the end of the response",
    buckets: DURATION_BUCKETS,
    registers,
  });
  const kept = [attempts, messages, deadLetters, exceptions, changes, resent, postponed, dropped, durations];
  exposeGauges(registers, sources);
  exposeProcess(registers, sources.host);

  return {
    observer: {
      attempted({ subscription: { id }, exchange }) {
        const { outcome, durationMs, resends, droppedHeaders } = exchange;
        attempts.add(id, outcome.kind);
        durations.observe(id, durationMs / 1000);
        if (outcome.kind === "exception") exceptions.add(id, outcome.code);
        if (resends > 0) resent.add(id, "", resends);
        if (droppedHeaders > 0) dropped.add(id, "", droppedHeaders);
      },
      settled({ subscription: { id }, ending }) {
        messages.add(id, ending.kind);
        const isStored = ending.kind === "expired" && ending.endpoint !== null;
        if (ending.kind === "dead-lettered" || isStored) deadLetters.add(id, ending.failure.kind);
      },
      postponed: ({ subscription: { id } }) => postponed.add(id, ""),
    },
    stateChanged: ({ subscription, reason }) => changes.add(subscription, reason),
    async expose() {
      const ids = new Set(sources.subscriptions().map(({ subscription }) => subscription.id));
      for (const { retain } of kept) retain(ids);
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

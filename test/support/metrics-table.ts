// Metrics that have counted one of everything, and the table of all there are, as the README has it.

import type { Exchange } from "#delivery/exchange.ts";
import type { Outcome } from "#delivery/outcome.ts";
import { toSampleMessage } from "#delivery/sample.ts";
import { initialStatus } from "#delivery/status.ts";
import type { GaugeSources, MeasuredSubscription } from "#http/gauges.ts";
import { createMetrics, type Metrics } from "#http/metrics.ts";
import type { Ending } from "#pipeline/observer.ts";
import { type Family, parseExposition } from "./exposition.ts";
import { toSubscription } from "./subscription.ts";

export function measured(id: string): MeasuredSubscription {
  return {
    subscription: toSubscription({
      id,
      ordering: { key: { kind: "subject" }, onFailure: "key", window: 256 },
    }),
    active: () => ({ host: "edge-7", since: new Date(), isHere: true }),
    state: () => ({ kind: "running" }),
    stats: () => ({
      held: 3,
      inFlight: 2,
      retrying: 1,
      nextRetryAt: null,
      oldestHeldAt: performance.now(),
      blocked: null,
      gathering: null,
      parkedKeys: 0,
      parkedMessages: 0,
    }),
    pace: () => ({ places: 1, perSecond: 12.5, waitMs: 0 }),
  };
}

export function metricsOf(
  subscriptions: readonly MeasuredSubscription[],
  changes: Partial<GaugeSources> = {},
): Metrics {
  return createMetrics({
    host: "edge-7",
    subscriptions: () => subscriptions,
    lagOf: () => ({ pending: 10, ackPending: 3, redelivered: 1, growth: null }),
    callbackConnections: () => 2,
    isReady: () => true,
    connection: () => ({ isConnected: true, reconnects: 1, unconfirmedAcks: 0 }),
    bucketFault: () => null,
    configRefused: () => null,
    deliveryLog: () => ({ written: 5, dropped: 1, unpublished: 1, faults: 1, fault: null }),
    telemetry: () => ({ exported: 2, dropped: 1 }),
    ...changes,
  });
}

/** An attempt with that outcome, and its end; one of whatever else is counted. */
export function count(
  { observer, stateChanged }: Metrics,
  { subscription }: MeasuredSubscription,
  { outcome, ending, durationMs = 20 }: { outcome: Outcome; ending: Ending; durationMs?: number },
): void {
  const message = toSampleMessage(subscription.source, { body: new Uint8Array(), now: new Date() });
  const exchange: Exchange = {
    outcome,
    startedAt: new Date(),
    durationMs,
    sent: true,
    aborted: false,
    resends: 1,
    droppedHeaders: 1,
    request: { method: "POST", url: "http://127.0.0.1/", headers: [] },
    response: null,
    mask: String,
  };
  const about = { key: {}, subscription, message, trace: null };
  observer.attempted({ ...about, attempt: 1, exchange, action: { kind: "ack" } });
  observer.settled({ ...about, attempts: 1, ending });
  observer.postponed({
    subscription,
    exception: { kind: "exception", code: "descriptors", error: "none left" },
  });
  const status = initialStatus("ACCEPTED");
  stateChanged({ subscription: subscription.id, from: status, to: status, reason: "failure" });
}

export async function families({ expose }: Metrics): Promise<readonly Family[]> {
  return parseExposition((await expose()).text);
}

/** All there are, each with every label. */
async function allFamilies(): Promise<readonly Family[]> {
  const one = measured("one");
  const metrics = metricsOf([one]);
  const failure = { kind: "exception", code: "connect", error: "Connection refused" } as const;
  count(metrics, one, {
    outcome: failure,
    ending: { kind: "dead-lettered", failure, endpoint: "letters" },
  });
  return families(metrics);
}

/** The labels of each metric, by its name in PromQL: those of a histogram end in `_bucket`, `_sum`, `_count`. */
export async function metricLabels(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const samples = (await allFamilies()).flatMap((family) => family.samples);
  return new Map(samples.map(({ name, labels }) => [name, new Set(Object.keys(labels))]));
}

/** The table: name, type, labels, meaning. */
export async function describeMetrics(): Promise<string> {
  const rows = (await allFamilies()).map(({ name, type, help, samples }) => {
    const labels = new Set(samples.flatMap((sample) => Object.keys(sample.labels)));
    labels.delete("le");
    const named = [...labels].map((label) => `\`${label}\``).join(", ");
    return `| \`${name}\` | ${type} | ${named} | ${help} |`;
  });
  return ["| metric | type | labels | meaning |", "|---|---|---|---|", ...rows].join("\n");
}

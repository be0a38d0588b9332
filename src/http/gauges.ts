// Exposes gauges that are read when Prometheus scrapes: each subscription, NATS, the bucket, the delivery log.

import { Counter, Gauge, type Registry } from "prom-client";
import type { ConsumerLag } from "#consumer/lag.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import { SUBSCRIPTION_STATES } from "#wire/subscription.ts";

export type MeasuredSubscription = Pick<
  RunningSubscription,
  "subscription" | "state" | "stats" | "active" | "pace"
>;

export interface GaugeSources {
  /** `host.name`. */
  readonly host: string;
  readonly subscriptions: () => readonly MeasuredSubscription[];
  /** null: not known, or not any more. */
  readonly lagOf: (subscription: string) => ConsumerLag | null;
  readonly callbackConnections: (subscription: string) => number;
  /** As `/readyz` says. */
  readonly isReady: () => boolean;
  readonly connection: () => {
    readonly isConnected: boolean;
    readonly reconnects: number;
    readonly unconfirmedAcks: number;
  };
  /** Why the bucket cannot be used just now; null: it can. */
  readonly bucketFault: () => string | null;
  /** Why the config file, as it is now, is not the one that runs; null: it is. */
  readonly configRefused: () => string | null;
  readonly deliveryLog: () => {
    readonly written: number;
    readonly dropped: number;
    readonly unpublished: number;
    readonly faults: number;
    readonly fault: string | null;
  };
  readonly telemetry: () => { readonly exported: number; readonly dropped: number };
}

export function exposeGauges(registers: Registry[], sources: GaugeSources): void {
  exposeSubscriptions(registers, sources);
  const { isReady, connection, bucketFault, configRefused, deliveryLog, telemetry } = sources;
  const gauge = (name: string, help: string, read: () => number) =>
    exposeGauge(registers, { name, help, labels: [], collect: (own) => own.set(read()) });
  gauge("relay_ready", "1 while the relay can do its job, as /readyz says", () => toBit(isReady()));
  gauge("relay_nats_connected", "1 while NATS is connected and answers", () =>
    toBit(connection().isConnected),
  );
  const counter = (name: string, help: string, read: () => number) =>
    void new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  counter("relay_nats_reconnects_total", "Reconnects to NATS", () => connection().reconnects);
  gauge(
    "relay_nats_unconfirmed_acks",
    "Acknowledgements that the server has not confirmed yet",
    () => connection().unconfirmedAcks,
  );
  gauge("relay_bucket_usable", "1 while states and subscriptions made by API can be stored", () =>
    toBit(bucketFault() === null),
  );
  gauge("relay_config_last_reload_successful", "0 while the config file on disk is refused", () =>
    toBit(configRefused() === null),
  );
  counter("relay_delivery_log_records_total", "Records written", () => deliveryLog().written);
  counter(
    "relay_delivery_log_dropped_total",
    "Records lost because they came faster than they could be written",
    () => deliveryLog().dropped,
  );
  counter(
    "relay_delivery_log_faults_total",
    "Times that the log could not be written or read",
    () => deliveryLog().faults,
  );
  counter(
    "relay_delivery_log_unpublished_total",
    "Records not published to NATS, though `deliveryLog.publish` is set",
    () => deliveryLog().unpublished,
  );
  counter(
    "relay_spans_exported_total",
    "Spans that the collector of `telemetry` took",
    () => telemetry().exported,
  );
  counter(
    "relay_spans_dropped_total",
    "Spans lost because the collector was away, too slow, or rejected them",
    () => telemetry().dropped,
  );
  gauge("relay_delivery_log_usable", "1 while the delivery log can be written and read", () =>
    toBit(deliveryLog().fault === null),
  );
}

function exposeSubscriptions(registers: Registry[], sources: GaugeSources): void {
  const { subscriptions, lagOf, callbackConnections } = sources;
  /** `read` null: the gauge has no value for that subscription. */
  const gauge = (name: string, help: string, read: (measured: MeasuredSubscription) => number | null) =>
    exposeGauge(registers, {
      name,
      help,
      labels: ["subscription"],
      collect(own) {
        for (const measured of subscriptions()) {
          const value = read(measured);
          if (value !== null) own.set({ subscription: measured.subscription.id }, value);
        }
      },
    });
  gauge("relay_held_messages", "Messages received and not settled", ({ stats }) => stats().held);
  gauge("relay_in_flight_requests", "Requests in flight", ({ stats }) => stats().inFlight);
  gauge(
    "relay_max_in_flight_requests",
    "Requests at a time that the callback gets at present; fewer than its limit after an interruption or a refusal",
    ({ pace }) => pace().places,
  );
  gauge(
    "relay_max_requests_per_second",
    "Requests a second that the callback gets at present, by its rate limit or because it refused more; absent: no limit",
    ({ pace }) => pace().perSecond,
  );
  gauge("relay_retrying_messages", "Messages that wait for a retry", ({ stats }) => stats().retrying);
  gauge(
    "relay_oldest_held_seconds",
    "Age of the oldest message that is not settled; 0 if there is none",
    ({ stats }) => {
      const { oldestHeldAt } = stats();
      return oldestHeldAt === null ? 0 : (performance.now() - oldestHeldAt) / 1000;
    },
  );
  gauge("relay_parked_keys", "Keys that are parked here, of subscriptions that park keys", (measured) =>
    parksKeys(measured) ? measured.stats().parkedKeys : null,
  );
  gauge("relay_parked_messages", "Messages of parked keys that wait here", (measured) =>
    parksKeys(measured) ? measured.stats().parkedMessages : null,
  );
  gauge(
    "relay_subscription_active",
    "1 while this relay delivers the ordered subscription, 0 while it stands by for another",
    ({ active }) => {
      const holder = active();
      return holder === null ? null : toBit(holder.isHere);
    },
  );
  gauge("relay_callback_connections", "Open connections to the callback", ({ subscription }) =>
    callbackConnections(subscription.id),
  );
  const lag = (name: string, help: string, field: keyof ConsumerLag) =>
    gauge(name, help, ({ subscription }) => lagOf(subscription.id)?.[field] ?? null);
  lag("relay_pending_messages", "Messages in the stream that were not delivered to a relay yet", "pending");
  lag("relay_ack_pending_messages", "Messages delivered to a relay and not acknowledged yet", "ackPending");
  lag(
    "relay_redelivered_messages",
    "Messages delivered more than once and not acknowledged yet",
    "redelivered",
  );
  exposeGauge(registers, {
    name: "relay_subscription_state",
    help: "1 for the state of the subscription on this relay, 0 for the others",
    labels: ["subscription", "state"],
    collect(own) {
      for (const { subscription, state } of subscriptions()) {
        const current = state().kind;
        for (const kind of SUBSCRIPTION_STATES)
          own.set({ subscription: subscription.id, state: kind }, toBit(kind === current));
      }
    },
  });
}

function parksKeys({ subscription }: MeasuredSubscription): boolean {
  return subscription.ordering?.onFailure === "key";
}

interface GaugeOptions {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Called with an empty gauge. */
  readonly collect: (gauge: Gauge) => void;
}

export function exposeGauge(registers: Registry[], { name, help, labels, collect }: GaugeOptions): void {
  void new Gauge({
    name,
    help,
    labelNames: labels,
    registers,
    collect() {
      this.reset();
      collect(this);
    },
  });
}

function toBit(isSo: boolean): number {
  return isSo ? 1 : 0;
}

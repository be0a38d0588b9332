// A Grafana dashboard of one relay, or of many: `relay reference dashboard`. Pure.

import type { Outcome } from "#delivery/outcome.ts";
import type { SubscriptionState } from "#runtime/running.ts";

export interface Panel {
  readonly title: string;
  readonly description: string;
  readonly kind: "stat" | "timeseries" | "table";
  /** In columns of 24. */
  readonly width: number;
  /** A unit of Grafana. */
  readonly unit: string;
  readonly queries: readonly PanelQuery[];
}

export interface PanelQuery {
  /** PromQL, with the dashboard's variables `$instance` and `$subscription`. */
  readonly expr: string;
  /** The name of each line, with labels in double braces. */
  readonly legend: string;
}

const FAILED: SubscriptionState["kind"] = "failed";
const WAITING: SubscriptionState["kind"] = "waiting";
const DELIVERED: Outcome["kind"] = "delivered";
const RELAY = 'instance=~"$instance"';
const OWN = `${RELAY},subscription=~"$subscription"`;
const RATE = "[$__rate_interval]";
const STAT_HEIGHT = 4;
const HEIGHT = 8;
const COLUMNS = 24;
const REF_IDS = "ABCDEFGH";
const DATASOURCE = { type: "prometheus", uid: "${datasource}" };

function rate(counter: string, by: string): string {
  return `sum by (${by}) (rate(${counter}{${OWN}}${RATE}))`;
}

function duration(quantile: number): PanelQuery {
  const buckets = rate("relay_attempt_duration_seconds_bucket", "le");
  return { expr: `histogram_quantile(${quantile}, ${buckets})`, legend: `${quantile * 100} %` };
}

function stat(title: string, description: string, expr: string, legend = ""): Panel {
  return { title, description, kind: "stat", width: 4, unit: "short", queries: [{ expr, legend }] };
}

function chart(
  title: string,
  own: { readonly description: string; readonly unit: string; readonly queries: readonly PanelQuery[] },
): Panel {
  return { title, kind: "timeseries", width: 12, ...own };
}

export const PANELS: readonly Panel[] = [
  stat("Relays", "Relays that Prometheus reads", `count(relay_build_info{${RELAY}})`),
  stat("Not ready", "Relays that cannot do their job", `count(relay_ready{${RELAY}} == 0) or vector(0)`),
  stat(
    "Without NATS",
    "Relays that are not connected",
    `count(relay_nats_connected{${RELAY}} == 0) or vector(0)`,
  ),
  stat(
    "Failed",
    "Subscriptions that deliver nothing until they are resumed",
    `sum(relay_subscription_state{${OWN},state="${FAILED}"}) or vector(0)`,
  ),
  stat(
    "Waiting",
    "Messages in the streams that no relay was given yet",
    `sum(max by (subscription) (relay_pending_messages{${OWN}}))`,
  ),
  stat(
    "Dead letters",
    "Stored in the range of time shown",
    `sum(increase(relay_dead_letters_total{${OWN}}[$__range])) or vector(0)`,
  ),
  {
    title: "Subscriptions in trouble",
    description: "Failed, or waiting for NATS, a stream or a consumer",
    kind: "table",
    width: 24,
    unit: "short",
    queries: [{ expr: `relay_subscription_state{${OWN},state=~"${FAILED}|${WAITING}"} == 1`, legend: "" }],
  },
  chart("Messages done with", {
    description: "By how they ended",
    unit: "cps",
    queries: [{ expr: rate("relay_messages_total", "ending"), legend: "{{ending}}" }],
  }),
  chart("Requests to callbacks", {
    description: "By outcome; and those put off because there was no file descriptor left",
    unit: "reqps",
    queries: [
      { expr: rate("relay_attempts_total", "outcome"), legend: "{{outcome}}" },
      { expr: `sum(rate(relay_postponed_attempts_total{${OWN}}${RATE}))`, legend: "put off" },
    ],
  }),
  chart("Success", {
    description: "Share of the requests that were answered with 2xx",
    unit: "percentunit",
    queries: [
      {
        expr: `1 - (sum by (subscription) (rate(relay_attempts_total{${OWN},outcome!="${DELIVERED}"}${RATE})) or 0 * ${rate("relay_attempts_total", "subscription")}) / ${rate("relay_attempts_total", "subscription")}`,
        legend: "{{subscription}}",
      },
    ],
  }),
  chart("Duration of requests", {
    description: "Waiting for a connection included",
    unit: "s",
    queries: [duration(0.5), duration(0.95), duration(0.99)],
  }),
  chart("Waiting in the streams", {
    description: "Messages that no relay was given yet",
    unit: "short",
    queries: [{ expr: `max by (subscription) (relay_pending_messages{${OWN}})`, legend: "{{subscription}}" }],
  }),
  chart("Oldest message held", {
    description: "How long ago it was received",
    unit: "s",
    queries: [
      { expr: `max by (subscription) (relay_oldest_held_seconds{${OWN}})`, legend: "{{subscription}}" },
    ],
  }),
  chart("In the relays", {
    description: "Messages that are held, of which some are sent and some wait for a retry",
    unit: "short",
    queries: [
      { expr: `sum(relay_held_messages{${OWN}})`, legend: "held" },
      { expr: `sum(relay_in_flight_requests{${OWN}})`, legend: "in flight" },
      { expr: `sum(relay_retrying_messages{${OWN}})`, legend: "retrying" },
      { expr: `sum(relay_callback_connections{${OWN}})`, legend: "connections" },
      { expr: `sum(relay_subscription_active{${OWN}})`, legend: "ordered subscriptions active" },
      { expr: `sum(relay_parked_messages{${OWN}})`, legend: "parked" },
    ],
  }),
  chart("Pace of the callbacks", {
    description: "Requests at a time, and a second, that a callback gets at present",
    unit: "short",
    queries: [
      { expr: `relay_max_in_flight_requests{${OWN}}`, legend: "{{subscription}} at a time" },
      { expr: `relay_max_requests_per_second{${OWN}}`, legend: "{{subscription}} a second" },
    ],
  }),
  chart("At the NATS server", {
    description: "Messages that are not acknowledged yet, and those of them delivered more than once",
    unit: "short",
    queries: [
      { expr: `sum(max by (subscription) (relay_ack_pending_messages{${OWN}}))`, legend: "not acknowledged" },
      { expr: `sum(max by (subscription) (relay_redelivered_messages{${OWN}}))`, legend: "redelivered" },
    ],
  }),
  chart("Dead letters", {
    description: "Stored, by reason",
    unit: "cps",
    queries: [
      {
        expr: rate("relay_dead_letters_total", "subscription, reason"),
        legend: "{{subscription}} {{reason}}",
      },
    ],
  }),
  chart("Requests without a response", {
    description: "By cause",
    unit: "cps",
    queries: [
      { expr: rate("relay_exceptions_total", "subscription, cause"), legend: "{{subscription}} {{cause}}" },
    ],
  }),
  chart("Changes of state", {
    description: "Pauses, failures, recoveries …",
    unit: "cps",
    queries: [{ expr: rate("relay_state_changes_total", "reason"), legend: "{{reason}}" }],
  }),
  chart("Connection to NATS", {
    description: "Times that it was lost, and acknowledgements that the server may not have",
    unit: "short",
    queries: [
      { expr: `increase(relay_nats_reconnects_total{${RELAY}}${RATE})`, legend: "{{instance}} reconnects" },
      { expr: `relay_nats_unconfirmed_acks{${RELAY}}`, legend: "{{instance}} unconfirmed" },
    ],
  }),
  chart("Faults of the relays", {
    description: "1 while it lasts",
    unit: "short",
    queries: [
      { expr: `1 - relay_bucket_usable{${RELAY}}`, legend: "{{instance}} bucket of states" },
      { expr: `1 - relay_config_last_reload_successful{${RELAY}}`, legend: "{{instance}} config refused" },
      { expr: `1 - relay_delivery_log_usable{${RELAY}}`, legend: "{{instance}} delivery log" },
    ],
  }),
  chart("Delivery log", {
    description: "Records written, and lost",
    unit: "cps",
    queries: [
      { expr: `sum(rate(relay_delivery_log_records_total{${RELAY}}${RATE}))`, legend: "written" },
      { expr: `sum(rate(relay_delivery_log_dropped_total{${RELAY}}${RATE}))`, legend: "lost" },
    ],
  }),
  chart("CPU", {
    description: "1: one core",
    unit: "short",
    queries: [
      {
        expr: `rate(process_cpu_seconds_total{${RELAY}}${RATE}) and on (instance) relay_build_info`,
        legend: "{{instance}}",
      },
    ],
  }),
  chart("Memory", {
    description: "Of the process",
    unit: "bytes",
    queries: [
      {
        expr: `process_resident_memory_bytes{${RELAY}} and on (instance) relay_build_info`,
        legend: "{{instance}}",
      },
    ],
  }),
];

/** JSON for Grafana's import. */
export function toDashboard(panels: readonly Panel[]): string {
  const dashboard = {
    uid: "relay",
    title: "Relay",
    description: "From NATS JetStream to HTTP callbacks",
    tags: ["relay", "nats"],
    editable: true,
    schemaVersion: 38,
    version: 1,
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    timezone: "browser",
    templating: {
      list: [
        { name: "datasource", label: "Data source", type: "datasource", query: "prometheus" },
        toVariable("instance", { label: "Relay", query: "label_values(relay_build_info, instance)" }),
        toVariable("subscription", {
          label: "Subscription",
          query: `label_values(relay_subscription_state{${RELAY}}, subscription)`,
        }),
      ],
    },
    annotations: {
      list: [
        {
          name: "Start of a relay",
          enable: true,
          datasource: DATASOURCE,
          expr: `changes(process_start_time_seconds{${RELAY}}[2m]) > 0 and on (instance) relay_build_info`,
          titleFormat: "{{instance}} started",
          iconColor: "blue",
        },
      ],
    },
    panels: layOut(panels).map(toPanel),
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

/** All of its values are chosen at first; those that come later too. */
function toVariable(name: string, { label, query }: { label: string; query: string }): object {
  return {
    name,
    label,
    type: "query",
    datasource: DATASOURCE,
    query: { query, refId: name },
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: ".*",
    current: { text: "All", value: "$__all" },
  };
}

interface Placed {
  readonly panel: Panel;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
}

/** In rows from left to right; the panels of one row are of one height. */
function layOut(panels: readonly Panel[]): readonly Placed[] {
  let [x, y, rowHeight] = [0, 0, 0];
  return panels.map((panel) => {
    const [w, h] = [panel.width, panel.kind === "stat" ? STAT_HEIGHT : HEIGHT];
    if (x + w > COLUMNS) [x, y] = [0, y + rowHeight];
    const gridPos = { x, y, w, h };
    [x, rowHeight] = [x + w, h];
    return { panel, gridPos };
  });
}

function toPanel({ panel, gridPos }: Placed, index: number): object {
  const { title, description, kind, unit, queries } = panel;
  const isTable = kind === "table";
  return {
    id: index + 1,
    title,
    description,
    type: kind,
    gridPos,
    datasource: DATASOURCE,
    targets: queries.map(({ expr, legend }, query) => ({
      refId: REF_IDS.charAt(query),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      instant: kind !== "timeseries",
      range: kind === "timeseries",
      format: isTable ? "table" : "time_series",
    })),
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    ...(isTable
      ? {
          transformations: [
            { id: "organize", options: { excludeByName: { Time: true, Value: true, __name__: true } } },
          ],
        }
      : {}),
  };
}

// What to alert on, as rules for Prometheus: `relay reference alerts`. Pure.

import type { Outcome } from "#delivery/outcome.ts";
import type { Ending } from "#pipeline/observer.ts";
import type { SubscriptionState } from "#runtime/running.ts";

export interface Alert {
  readonly name: string;
  /** PromQL; true while there is a sample. */
  readonly expr: string;
  /** How long it must be so: a duration of Prometheus. */
  readonly for: string;
  /** `critical`: messages are lost, or nothing is delivered. */
  readonly severity: "critical" | "warning";
  /** One line, with labels in Prometheus' templates. */
  readonly summary: string;
  /** What it means, and what to do. */
  readonly description: string;
}

const FAILED: SubscriptionState["kind"] = "failed";
const RUNNING: SubscriptionState["kind"] = "running";
const DELIVERED: Outcome["kind"] = "delivered";
const GONE: readonly Ending["kind"][] = ["lost", "dropped"];

const RELAY = "{{ $labels.instance }}";
const SUBSCRIPTION = `Subscription {{ $labels.subscription }} on ${RELAY}`;
const BY_SUBSCRIPTION = "by (job, instance, subscription)";
const SAME_RELAY = "on (job, instance)";
const SAME_SUBSCRIPTION = "on (job, instance, subscription)";

/**
 * What a counter grew by. A series that begins with 1 does not increase: all of one counts that was not there before, though
 * its relay was.
 */
function grown(counter: string, range: string): string {
  return `sum ${BY_SUBSCRIPTION} (
  (${counter} unless ${counter} offset ${range} and ${SAME_RELAY} relay_build_info offset ${range}) > 0
  or increase(${counter}[${range}]) > 0
)`;
}

function attempts(selector: string, range: string): string {
  return `sum ${BY_SUBSCRIPTION} (increase(relay_attempts_total${selector}[${range}]))`;
}

export const ALERTS: readonly Alert[] = [
  {
    name: "RelayDown",
    expr: 'up{job="relay"} == 0',
    for: "2m",
    severity: "critical",
    summary: `Prometheus cannot read the metrics of ${RELAY}`,
    description:
      "The relay does not run, or Prometheus may not ask it. On its host, see: systemctl status relay; journalctl -u relay -p warning. If the relay runs, check the address and the token of the scrape job.",
  },
  {
    name: "RelayRestarting",
    expr: `changes(process_start_time_seconds[15m]) > 2 and ${SAME_RELAY} relay_build_info`,
    for: "0m",
    severity: "warning",
    summary: `${RELAY} was started again several times within 15 minutes`,
    description:
      "Something kills the relay, or it ends with an error. journalctl -u relay -p err says which. If the kernel killed it for its memory, raise MemoryMax=.",
  },
  {
    name: "RelayNatsDisconnected",
    expr: "relay_nats_connected == 0",
    for: "1m",
    severity: "critical",
    summary: `${RELAY} is not connected to NATS`,
    description:
      "Nothing is delivered; the messages wait in their streams. relay status says why: no network, no server, or refused credentials. Relay connects again by itself.",
  },
  {
    name: "RelayNotReady",
    expr: `relay_ready == 0 unless ${SAME_RELAY} relay_nats_connected == 0`,
    for: "2m",
    severity: "critical",
    summary: `${RELAY} is not ready`,
    description:
      "A stream, a consumer or the dead-letter stream cannot be used. relay status on the host, and GET /readyz, give the reasons.",
  },
  {
    name: "RelayNatsUnstable",
    expr: "increase(relay_nats_reconnects_total[15m]) > 5",
    for: "0m",
    severity: "warning",
    summary: `${RELAY} lost its connection to NATS several times within 15 minutes`,
    description:
      "The network or nats-server is not stable: see the log of both. Messages that were in flight may be delivered twice.",
  },
  {
    name: "RelayMessagesLost",
    expr: grown(`relay_messages_total{ending=~"${GONE.join("|")}"}`, "10m"),
    for: "0m",
    severity: "critical",
    summary: `${SUBSCRIPTION} gave up messages`,
    description:
      "Their callback did not take them, and they are not kept: the log names each one. Give the entrypoint a dlq, and they become dead letters.",
  },
  {
    name: "RelaySubscriptionFailed",
    expr: `relay_subscription_state{state="${FAILED}"} == 1`,
    for: "1m",
    severity: "critical",
    summary: `${SUBSCRIPTION} is in failure`,
    description:
      "It delivers nothing until it is resumed; its messages wait. relay subscriptions show ID gives the cause. Repair the callback, then: relay subscriptions resume ID (with --skip, without the message that caused it).",
  },
  {
    name: "RelaySuccessRateLow",
    expr: `${attempts(`{outcome!="${DELIVERED}"}`, "5m")}
  / ${attempts("", "5m")} > 0.1
and ${SAME_SUBSCRIPTION} ${attempts("", "5m")} >= 10`,
    for: "5m",
    severity: "warning",
    summary: `${SUBSCRIPTION}: more than 10 % of its requests fail`,
    description:
      "relay logs --subscription ID --follow shows the answers, relay_exceptions_total the causes where there was none. Retries use up the time of the callback.",
  },
  {
    name: "RelayLagGrowing",
    expr: `deriv(relay_pending_messages[15m]) > 0
and min_over_time(relay_pending_messages[15m]) > 100
and ${SAME_SUBSCRIPTION} relay_subscription_state{state="${RUNNING}"} == 1`,
    for: "15m",
    severity: "warning",
    summary: `${SUBSCRIPTION} falls behind its stream`,
    description:
      "The callback is slower than the stream. Raise configuration.http.maxConcurrentConnections (unordered subscriptions), make the callback faster, or the messages fewer. A stream with limits deletes what waits too long.",
  },
  {
    name: "RelayMessageStuck",
    expr: "relay_oldest_held_seconds > 900",
    for: "1m",
    severity: "warning",
    summary: `${SUBSCRIPTION} has held a message for more than 15 minutes`,
    description:
      "It waits for a retry, or for a dead-letter stream; in an ordered subscription all others wait behind it. relay subscriptions show ID says which.",
  },
  {
    name: "RelayKeysParked",
    expr: "relay_parked_keys > 0",
    for: "5m",
    severity: "warning",
    summary: `${SUBSCRIPTION} has parked keys`,
    description:
      "The first message of each parked key is not accepted, and the others of that key wait behind it. relay subscriptions parked ID lists the causes. Repair the callback, then: relay subscriptions resume ID --key KEY (with --skip, without that message).",
  },
  {
    name: "RelayOutOfDescriptors",
    expr: grown("relay_postponed_attempts_total", "10m"),
    for: "0m",
    severity: "warning",
    summary: `${SUBSCRIPTION} waits for file descriptors`,
    description:
      "The relay has no file descriptor left, so messages wait. Raise LimitNOFILE= of the service, or lower configuration.http.maxConcurrentConnections.",
  },
  {
    name: "RelayDeadLettersArriving",
    expr: grown("relay_dead_letters_total", "10m"),
    for: "0m",
    severity: "warning",
    summary: `${SUBSCRIPTION} stores dead letters`,
    description:
      "Its callback rejects messages. relay dlq list --subscription ID shows them, with the error of each. Repair the callback, then: relay dlq replay --subscription ID.",
  },
  {
    name: "RelayConfigRefused",
    expr: "relay_config_last_reload_successful == 0",
    for: "5m",
    severity: "warning",
    summary: `${RELAY} refused its config file`,
    description:
      "The previous config stays active, but the relay would not start again with this file. relay check on the host lists the faults of the file.",
  },
  {
    name: "RelayBucketUnusable",
    expr: `relay_bucket_usable == 0 unless ${SAME_RELAY} relay_nats_connected == 0`,
    for: "5m",
    severity: "warning",
    summary: `${RELAY} cannot use its bucket of states`,
    description:
      "Deliveries go on. Pauses, and changes of subscriptions made by API, are not kept. relay status says why: permissions of the account, or the stream KV_ of state.bucket.",
  },
  {
    name: "RelayDeliveryLogUnusable",
    expr: "relay_delivery_log_usable == 0",
    for: "5m",
    severity: "warning",
    summary: `${RELAY} cannot write its delivery log`,
    description:
      "Deliveries go on, and are not recorded. Mostly the disk of the state directory is full or read-only: relay status says which.",
  },
  {
    name: "RelayDeliveryLogDropping",
    expr: "increase(relay_delivery_log_dropped_total[10m]) > 0",
    for: "0m",
    severity: "warning",
    summary: `${RELAY} drops records of its delivery log`,
    description:
      "Deliveries go on; more records come than the disk can take. Record fewer messages (configuration.sampling), or keep less of each (configuration.logging).",
  },
];

/** A file of rules, in YAML. */
export function toAlertRules(alerts: readonly Alert[]): string {
  const rules = alerts.map(
    ({ name, expr, for: duration, severity, summary, description }) => `      - alert: ${name}
        expr: |-
${expr.replaceAll(/^/gm, " ".repeat(10))}
        for: ${duration}
        labels:
          severity: ${severity}
        annotations:
          summary: ${JSON.stringify(summary)}
          description: ${JSON.stringify(description)}
`,
  );
  return `# Alerts of Relay for Prometheus. RelayDown takes the scrape job to be called "relay".
groups:
  - name: relay
    rules:
${rules.join("\n")}`;
}

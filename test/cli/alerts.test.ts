// The alert rules: that Prometheus takes them, when each one fires, and that they name metrics which are there.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { ALERTS, toAlertRules } from "#cli/alerts.ts";
import { listSelectors } from "../support/exposition.ts";
import { metricLabels } from "../support/metrics-table.ts";
import { runRelay, temporaryDirectory } from "../support/relay.ts";

const why = Bun.which("promtool") === null ? " (skipped: not installed: prometheus)" : "";

/** A metric of one relay, as promtool writes it: begin, step and count of samples, one a minute. */
type Series = Readonly<Record<string, string>>;

const HEALTHY: Series = {
  'up{job="relay"}': "1x60",
  relay_build_info: "1x60",
  process_start_time_seconds: "1000x60",
  relay_ready: "1x60",
  relay_nats_connected: "1x60",
  relay_nats_reconnects_total: "0x60",
  relay_bucket_usable: "1x60",
  relay_config_last_reload_successful: "1x60",
  relay_delivery_log_usable: "1x60",
  relay_delivery_log_dropped_total: "3x60",
  "relay_oldest_held_seconds{billing}": "2x60",
  "relay_pending_messages{billing}": "500-5x60",
  'relay_subscription_state{billing,state="running"}': "1x60",
  'relay_subscription_state{billing,state="failed"}': "0x60",
  'relay_attempts_total{billing,outcome="delivered"}': "0+100x60",
  'relay_attempts_total{billing,outcome="rejected"}': "0+5x60",
  'relay_messages_total{billing,ending="delivered"}': "0+100x60",
  'relay_messages_total{billing,ending="lost"}': "4x60",
  'relay_dead_letters_total{billing,reason="rejected"}': "7x60",
};

interface Case {
  readonly alert: string;
  readonly when: string;
  /** What differs from a healthy relay. */
  readonly series: Series;
  /** It fires here, and not before. */
  readonly minutes: readonly [not: number, fires: number];
}

const CASES: readonly Case[] = [
  {
    alert: "RelayDown",
    when: "its scrape fails",
    series: { 'up{job="relay"}': "1x9 0x50" },
    minutes: [11, 12],
  },
  {
    alert: "RelayRestarting",
    when: "it started three times within 15 minutes",
    series: { process_start_time_seconds: "1000x9 1100x2 1200x2 1300x40" },
    minutes: [15, 16],
  },
  {
    alert: "RelayNatsDisconnected",
    when: "it lost NATS, and then alone",
    series: { relay_nats_connected: "1x9 0x50", relay_ready: "1x9 0x50", relay_bucket_usable: "1x9 0x50" },
    minutes: [10, 30],
  },
  {
    alert: "RelayNotReady",
    when: "a stream is missing",
    series: { relay_ready: "1x9 0x50" },
    minutes: [11, 12],
  },
  {
    alert: "RelayNatsUnstable",
    when: "it reconnects each minute",
    series: { relay_nats_reconnects_total: "0x9 0+1x50" },
    minutes: [14, 17],
  },
  {
    alert: "RelayMessagesLost",
    when: "the first message is dropped",
    series: { 'relay_messages_total{billing,ending="dropped"}': "_x10 1x50" },
    minutes: [9, 11],
  },
  {
    alert: "RelayMessagesLost",
    when: "one more is lost",
    series: { 'relay_messages_total{billing,ending="lost"}': "4x10 5x50" },
    minutes: [9, 12],
  },
  {
    alert: "RelaySubscriptionFailed",
    when: "a subscription is in failure",
    series: {
      'relay_subscription_state{billing,state="running"}': "1x9 0x50",
      'relay_subscription_state{billing,state="failed"}': "0x9 1x50",
    },
    minutes: [10, 11],
  },
  {
    alert: "RelaySuccessRateLow",
    when: "one request in five fails",
    series: { 'relay_attempts_total{billing,outcome="rejected"}': "0x10 0+25x50" },
    minutes: [15, 20],
  },
  {
    alert: "RelaySuccessRateLow",
    when: "each request fails",
    series: {
      'relay_attempts_total{billing,outcome="delivered"}': "_x60",
      'relay_attempts_total{billing,outcome="rejected"}': "_x60",
      'relay_attempts_total{billing,outcome="exception"}': "0+5x60",
    },
    minutes: [5, 20],
  },
  {
    alert: "RelayLagGrowing",
    when: "more comes than is delivered",
    series: { "relay_pending_messages{billing}": "200+10x60" },
    minutes: [14, 40],
  },
  {
    alert: "RelayMessageStuck",
    when: "a message waits for its retry since 15 minutes",
    series: { "relay_oldest_held_seconds{billing}": "0+60x60" },
    minutes: [16, 17],
  },
  {
    alert: "RelayKeysParked",
    when: "a key is parked for more than five minutes",
    series: { "relay_parked_keys{billing}": "0x9 1x50" },
    minutes: [14, 15],
  },
  {
    alert: "RelayOutOfDescriptors",
    when: "attempts were put off",
    series: { "relay_postponed_attempts_total{billing}": "_x10 3x50" },
    minutes: [9, 11],
  },
  {
    alert: "RelayDeadLettersArriving",
    when: "the first dead letter is stored",
    series: { 'relay_dead_letters_total{billing,reason="exception"}': "_x10 1x50" },
    minutes: [9, 11],
  },
  {
    alert: "RelayConfigRefused",
    when: "the file is refused",
    series: { relay_config_last_reload_successful: "1x9 0x50" },
    minutes: [14, 15],
  },
  {
    alert: "RelayBucketUnusable",
    when: "the account may not write to it",
    series: { relay_bucket_usable: "1x9 0x50" },
    minutes: [14, 15],
  },
  {
    alert: "RelayDeliveryLogUnusable",
    when: "its disk is full",
    series: { relay_delivery_log_usable: "1x9 0x50" },
    minutes: [14, 15],
  },
  {
    alert: "RelayDeliveryLogDropping",
    when: "records are dropped",
    series: { relay_delivery_log_dropped_total: "3x10 4+1x50" },
    minutes: [9, 13],
  },
];

/** `billing` is short for the label of the subscription. */
function toInputSeries(series: Series): readonly { series: string; values: string }[] {
  return Object.entries(series).map(([name, values]) => {
    const [, metric = "", labels = ""] = /^(\w+)(?:\{(.*)\})?$/.exec(name) ?? [];
    const own = labels.replace("billing", 'subscription="billing"');
    const job = own.includes("job=") ? [] : ['job="relay"'];
    return { series: `${metric}{${[...job, 'instance="edge-7"', own].filter(Boolean).join(",")}}`, values };
  });
}

/** What fires, by name: each of them, whatever its other labels. */
function expectFiring(minute: number, names: readonly string[]) {
  return {
    expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
    eval_time: `${minute}m`,
    exp_samples: names.map((name) => ({ labels: `{alertname="${name}"}`, value: 1 })),
  };
}

function toTest(name: string, series: Series) {
  return { name, interval: "1m", input_series: toInputSeries(series) };
}

/** Templates as Prometheus fills them in. */
function fillIn(text: string): string {
  return text
    .replaceAll("{{ $labels.instance }}", "edge-7")
    .replaceAll("{{ $labels.subscription }}", "billing");
}

function expectTexts({ alert, minutes: [, fires] }: Case) {
  const found = ALERTS.find(({ name }) => name === alert);
  if (found === undefined) throw new Error(`There is no alert ${alert}`);
  const { severity, summary, description } = found;
  const isOfSubscription = summary.includes("subscription");
  const labels = alert === "RelaySubscriptionFailed" ? { state: "failed" } : {};
  return {
    alertname: alert,
    eval_time: `${fires}m`,
    exp_alerts: [
      {
        exp_labels: {
          severity,
          job: "relay",
          instance: "edge-7",
          ...(isOfSubscription ? { subscription: "billing" } : {}),
          ...labels,
        },
        exp_annotations: { summary: fillIn(summary), description: fillIn(description) },
      },
    ],
  };
}

test.skipIf(why !== "")(`toAlertRules() fires for each case, and for nothing else${why}`, async () => {
  await using directory = await temporaryDirectory();
  const healthy = {
    ...toTest("a healthy relay", HEALTHY),
    promql_expr_test: [5, 20, 40, 60].map((minute) => expectFiring(minute, [])),
  };
  const cases = CASES.map((one) => ({
    ...toTest(`${one.alert} fires when ${one.when}`, { ...HEALTHY, ...one.series }),
    promql_expr_test: [expectFiring(one.minutes[0], []), expectFiring(one.minutes[1], [one.alert])],
    alert_rule_test: [expectTexts(one)],
  }));
  await Bun.write(join(directory.path, "alerts.yml"), toAlertRules(ALERTS));
  await Bun.write(
    join(directory.path, "tests.yml"),
    JSON.stringify({ rule_files: ["alerts.yml"], evaluation_interval: "1m", tests: [healthy, ...cases] }),
  );
  const { exitCode, stdout, stderr } = Bun.spawnSync(["promtool", "test", "rules", "tests.yml"], {
    cwd: directory.path,
  });
  const text = `${stdout.toString()}${stderr.toString()}`;
  expect({ exitCode, text }).toMatchObject({ exitCode: 0 });
});

test("ALERTS has a case for each", () => {
  expect(new Set(CASES.map(({ alert }) => alert))).toEqual(new Set(ALERTS.map(({ name }) => name)));
});

test("ALERTS name metrics that Relay has, by labels that they have", async () => {
  const known = new Map([...(await metricLabels()), ["up", new Set(["job"])]]);
  const selectors = ALERTS.flatMap(({ expr }) => listSelectors(expr));
  expect(selectors.length).toBeGreaterThan(ALERTS.length);
  for (const { metric, labels } of selectors) {
    expect({ metric, isKnown: known.has(metric) }).toEqual({ metric, isKnown: true });
    for (const label of labels) expect([...(known.get(metric) ?? [])]).toContain(label);
  }
});

test("relay reference alerts prints them", async () => {
  const { exitCode, stdout } = await runRelay(["reference", "alerts"]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: toAlertRules(ALERTS) });
});

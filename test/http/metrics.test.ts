// What is exposed to Prometheus: the format, what is counted, and that nothing stays of what is gone.

import { describe, expect, test } from "bun:test";
import type { Outcome } from "#delivery/outcome.ts";
import type { Metrics } from "#http/metrics.ts";
import { parseExposition } from "../support/exposition.ts";
import { count, describeMetrics, families, measured, metricsOf } from "../support/metrics-table.ts";
import { README } from "../support/readme.ts";

const OK: Outcome = { kind: "delivered", status: 200 };
const DELIVERED = { outcome: OK, ending: { kind: "delivered" } } as const;

/** The values of one metric, by their labels. */
async function valuesOf(metrics: Metrics, name: string): Promise<Record<string, number>> {
  const samples = (await families(metrics)).flatMap((family) => family.samples);
  return Object.fromEntries(
    samples
      .filter((sample) => sample.name === name)
      .map(({ labels, value }) => [Object.values(labels).join(" "), value]),
  );
}

describe("createMetrics()", () => {
  test("createMetrics() exposes what the format and its naming conventions ask for", async () => {
    const all = [measured("a"), measured("b")];
    const metrics = metricsOf(all);
    for (const one of all) count(metrics, one, DELIVERED);
    const { contentType, text } = await metrics.expose();
    expect(contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
    const found = parseExposition(text);
    expect(found.length).toBeGreaterThan(20);
    expect(found.filter(({ help }) => help.length < 10 || help.endsWith("."))).toEqual([]);
    expect(found.filter(({ name }) => !/^(?:relay|process)_/.test(name))).toEqual([]);
  });

  test("createMetrics() counts attempts by outcome, messages by ending, and what went wrong by its cause", async () => {
    const one = measured("one");
    const metrics = metricsOf([one]);
    const rejected = { kind: "rejected", status: 404, retryAfterMs: null } as const;
    const refused = { kind: "exception", code: "connect", error: "Connection refused" } as const;
    count(metrics, one, DELIVERED);
    count(metrics, one, DELIVERED);
    count(metrics, one, {
      outcome: rejected,
      ending: { kind: "dead-lettered", failure: rejected, endpoint: "letters" },
    });
    count(metrics, one, { outcome: refused, ending: { kind: "returned" } });
    // A letter that was replayed is no new one.
    count(metrics, one, {
      outcome: rejected,
      ending: { kind: "failed-again", failure: rejected, letter: null },
    });
    expect(await valuesOf(metrics, "relay_attempts_total")).toEqual({
      "one delivered": 2,
      "one rejected": 2,
      "one exception": 1,
    });
    expect(await valuesOf(metrics, "relay_messages_total")).toEqual({
      "one delivered": 2,
      "one dead-lettered": 1,
      "one failed-again": 1,
      "one returned": 1,
    });
    expect(await valuesOf(metrics, "relay_dead_letters_total")).toEqual({ "one rejected": 1 });
    expect(await valuesOf(metrics, "relay_exceptions_total")).toEqual({ "one connect": 1 });
    expect(await valuesOf(metrics, "relay_state_changes_total")).toEqual({ "one failure": 5 });
    expect(await valuesOf(metrics, "relay_resends_total")).toEqual({ one: 5 });
    expect(await valuesOf(metrics, "relay_dropped_headers_total")).toEqual({ one: 5 });
  });

  test("createMetrics() counts the same again in the next scrape, and what came since", async () => {
    const one = measured("one");
    const metrics = metricsOf([one]);
    count(metrics, one, DELIVERED);
    expect(await valuesOf(metrics, "relay_messages_total")).toEqual({ "one delivered": 1 });
    expect(await valuesOf(metrics, "relay_nats_reconnects_total")).toEqual({ "": 1 });
    count(metrics, one, DELIVERED);
    expect(await valuesOf(metrics, "relay_messages_total")).toEqual({ "one delivered": 2 });
    expect(await valuesOf(metrics, "relay_nats_reconnects_total")).toEqual({ "": 1 });
  });

  test("createMetrics() puts durations in seconds into buckets", async () => {
    const one = measured("one");
    const metrics = metricsOf([one]);
    for (const durationMs of [5, 80, 9000]) count(metrics, one, { ...DELIVERED, durationMs });
    const buckets = await valuesOf(metrics, "relay_attempt_duration_seconds_bucket");
    expect(buckets).toMatchObject({
      "0.005 one": 1,
      "0.05 one": 1,
      "0.1 one": 2,
      "5 one": 2,
      "10 one": 3,
      "+Inf one": 3,
    });
    expect(await valuesOf(metrics, "relay_attempt_duration_seconds_sum")).toEqual({ one: 9.085 });
  });

  test("createMetrics() shows one state, what is held, and how far behind it is", async () => {
    const metrics = metricsOf([measured("one")]);
    const states = await valuesOf(metrics, "relay_subscription_state");
    expect(states).toMatchObject({ "one running": 1, "one failed": 0, "one waiting": 0 });
    expect(Object.values(states).reduce((sum, value) => sum + value)).toBe(1);
    expect(await valuesOf(metrics, "relay_held_messages")).toEqual({ one: 3 });
    expect(await valuesOf(metrics, "relay_in_flight_requests")).toEqual({ one: 2 });
    expect(await valuesOf(metrics, "relay_max_in_flight_requests")).toEqual({ one: 1 });
    expect(await valuesOf(metrics, "relay_max_requests_per_second")).toEqual({ one: 12.5 });
    expect(await valuesOf(metrics, "relay_retrying_messages")).toEqual({ one: 1 });
    expect(await valuesOf(metrics, "relay_pending_messages")).toEqual({ one: 10 });
    expect(await valuesOf(metrics, "relay_ack_pending_messages")).toEqual({ one: 3 });
    expect(await valuesOf(metrics, "relay_redelivered_messages")).toEqual({ one: 1 });
    expect(await valuesOf(metrics, "relay_callback_connections")).toEqual({ one: 2 });
  });

  test("createMetrics() shows no lag that is not known, any more", async () => {
    let isKnown = true;
    const lag = { pending: 1, ackPending: 0, redelivered: 0, growth: null };
    const metrics = metricsOf([measured("one")], { lagOf: () => (isKnown ? lag : null) });
    expect(await valuesOf(metrics, "relay_pending_messages")).toEqual({ one: 1 });
    isKnown = false;
    expect(await valuesOf(metrics, "relay_pending_messages")).toEqual({});
  });

  test("createMetrics() shows that NATS, the bucket or the config file is not as it should be", async () => {
    const faults = metricsOf([], {
      isReady: () => false,
      connection: () => ({ isConnected: false, reconnects: 3, unconfirmedAcks: 7 }),
      bucketFault: () => "no answer",
      configRefused: () => "1 fault",
    });
    for (const [name, good, bad] of [
      ["relay_ready", 1, 0],
      ["relay_nats_connected", 1, 0],
      ["relay_nats_reconnects_total", 1, 3],
      ["relay_nats_unconfirmed_acks", 0, 7],
      ["relay_bucket_usable", 1, 0],
      ["relay_config_last_reload_successful", 1, 0],
    ] as const) {
      expect(await valuesOf(metricsOf([]), name)).toEqual({ "": good });
      expect(await valuesOf(faults, name)).toEqual({ "": bad });
    }
  });

  test("createMetrics() keeps nothing of a subscription that is gone, and begins anew where it comes back", async () => {
    const [kept, gone] = [measured("kept"), measured("gone")];
    const running = [kept, gone];
    const metrics = metricsOf(running);
    for (const one of running) count(metrics, one, DELIVERED);
    expect((await metrics.expose()).text).toContain('subscription="gone"');
    running.pop();
    // The end of a drain is counted, too.
    expect((await metrics.expose()).text).not.toContain("gone");
    count(metrics, gone, DELIVERED);
    expect((await metrics.expose()).text).not.toContain("gone");
    running.push(gone);
    count(metrics, gone, DELIVERED);
    expect(await valuesOf(metrics, "relay_messages_total")).toEqual({
      "kept delivered": 1,
      "gone delivered": 1,
    });
    expect(await valuesOf(metrics, "relay_attempt_duration_seconds_count")).toEqual({ kept: 1, gone: 1 });
  });

  test("createMetrics() tells what the process uses", async () => {
    const metrics = metricsOf([]);
    const [memory = 0] = Object.values(await valuesOf(metrics, "process_resident_memory_bytes"));
    expect(memory).toBeGreaterThan(1_000_000);
    const [start = 0] = Object.values(await valuesOf(metrics, "process_start_time_seconds"));
    expect(Math.abs(start - (Date.now() / 1000 - process.uptime()))).toBeLessThan(2);
    const [before = 0] = Object.values(await valuesOf(metrics, "process_cpu_seconds_total"));
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(process.uptime() * 100);
  });
});

test("the README has every metric as it is (npm run docs writes the table)", async () => {
  const [, table = ""] =
    /<!-- metrics -->\n([\s\S]*)<!-- \/metrics -->/.exec(await Bun.file(README).text()) ?? [];
  expect(table.trim().split("\n")).toEqual((await describeMetrics()).split("\n"));
});

describe("parseExposition()", () => {
  const family = (...lines: string[]) =>
    ["# HELP a_total Some", "# TYPE a_total counter", ...lines, ""].join("\n");

  test("parseExposition() reads labels with everything that is escaped", () => {
    const [found] = parseExposition(family(String.raw`a_total{b="x\"y\\z\n",c=""} 2`));
    expect(found?.samples).toEqual([{ name: "a_total", labels: { b: 'x"y\\z\n', c: "" }, value: 2 }]);
  });

  test.each([
    ["a sample twice", family("a_total 1", "a_total 2")],
    ["a family twice", family("a_total 1") + family("a_total 1")],
    ["a sample of another family", family("b_total 1")],
    ["a negative counter", family("a_total -1")],
    ["a counter without _total", "# HELP a Some\n# TYPE a counter\na 1\n"],
    ["a label that is not closed", family('a_total{b="x} 1')],
    ["a quote that is not escaped", family('a_total{b="x"y"} 1')],
    ["no value", family("a_total")],
    ["HELP alone", `${family("a_total 1")}# HELP b Some\n`],
    ["no line break at the end", family("a_total 1").trimEnd()],
  ])("parseExposition() refuses %s", (_, text) => {
    expect(() => parseExposition(text)).toThrow();
  });
});

// The dashboard: queries that Prometheus takes, of metrics that are there, in panels that do not overlap.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { PANELS, toDashboard } from "#cli/dashboard.ts";
import { listSelectors } from "../support/exposition.ts";
import { metricLabels } from "../support/metrics-table.ts";
import { runRelay, temporaryDirectory } from "../support/relay.ts";

interface Dashboard {
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
  readonly panels: readonly {
    readonly id: number;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly targets: readonly { readonly expr: string }[];
  }[];
}

const dashboard = JSON.parse(toDashboard(PANELS)) as Dashboard;
const queries = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
const why = Bun.which("promtool") === null ? " (skipped: not installed: prometheus)" : "";

/** With the values that Grafana puts in the place of its variables. */
function fillIn(query: string): string {
  return query
    .replaceAll("$__rate_interval", "2m")
    .replaceAll("$__range", "1h")
    .replaceAll(/\$(?:instance|subscription)/g, ".*");
}

test("toDashboard() asks for metrics that Relay has, by labels that they have", async () => {
  const known = await metricLabels();
  const selectors = queries.flatMap((query) => listSelectors(fillIn(query)));
  expect(selectors.length).toBeGreaterThan(queries.length);
  for (const { metric, labels } of selectors) {
    expect({ metric, isKnown: known.has(metric) }).toEqual({ metric, isKnown: true });
    for (const label of labels) {
      if (label !== "instance") expect([...(known.get(metric) ?? [])]).toContain(label);
    }
  }
});

test("toDashboard() knows every metric, but for a few that nobody watches", async () => {
  const shown = new Set(queries.flatMap((query) => listSelectors(fillIn(query)).map(({ metric }) => metric)));
  const missing = [...(await metricLabels()).keys()].filter((name) => !shown.has(name));
  expect(missing.filter((name) => !/_(?:sum|count)$/.test(name))).toEqual([
    "relay_resends_total",
    "relay_dropped_headers_total",
    "relay_parked_keys",
    "relay_delivery_log_faults_total",
    "relay_delivery_log_unpublished_total",
    "relay_spans_exported_total",
    "relay_spans_dropped_total",
    "process_start_time_seconds",
    "process_open_fds",
  ]);
});

test("toDashboard() has panels of one relay or many, which fit into the grid and do not overlap", () => {
  const { panels, templating } = dashboard;
  expect(templating.list.map(({ name }) => name)).toEqual(["datasource", "instance", "subscription"]);
  for (const query of queries) expect(query).toContain('instance=~"$instance"');
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const taken = new Set<string>();
  for (const { gridPos } of panels) {
    expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect(taken.has(`${x} ${y}`)).toBe(false);
        taken.add(`${x} ${y}`);
      }
    }
  }
});

test.skipIf(why !== "")(`toDashboard() has queries that Prometheus takes${why}`, async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "queries.yml");
  const rules = queries.map((query, index) => ({ record: `query:${index}`, expr: fillIn(query) }));
  await Bun.write(path, JSON.stringify({ groups: [{ name: "queries", rules }] }));
  const { exitCode, stdout, stderr } = Bun.spawnSync(["promtool", "check", "rules", path]);
  expect({ exitCode, text: `${stdout.toString()}${stderr.toString()}` }).toMatchObject({ exitCode: 0 });
});

test("relay reference dashboard prints it", async () => {
  const { exitCode, stdout } = await runRelay(["reference", "dashboard"]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: toDashboard(PANELS) });
});

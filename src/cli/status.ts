// `relay status`: prints whether the relay is ready, why not, and the states of its subscriptions.

import { counted } from "#lib/counted.ts";
import { clean, cleanLines, toSafeJson } from "#lib/printable.ts";
import { type Status, statusSchema } from "#wire/status.ts";
import { parseAnswer } from "./answers.ts";
import { expectDone } from "./client.ts";
import { toRelative, toSpan } from "./relative-time.ts";
import { JSON_OPTION, type RemoteCall, type RemoteCommand } from "./remote-command.ts";
import { paint, type Screen } from "./terminal.ts";
import { formatOrphans, formatSubscriptions, listOrphans, listSubscriptions } from "./subscription-list.ts";

export const STATUS_COMMAND: RemoteCommand = {
  usage: "status",
  description: "show the status of the running relay",
  options: [JSON_OPTION],
  examples: ["relay status", "relay status --json", "relay status --url https://edge-7.example:8443"],
  note: "Trouble comes first: failures, then deliveries that fail, then a growing lag.",
  check: () => undefined,
  run: showStatus,
};

async function showStatus({ client, flags, io, screen, nowMs }: RemoteCall): Promise<number> {
  const value = expectDone(await client.ask("GET", "api/status"), "show the status");
  const status = parseAnswer(statusSchema, value);
  if (flags["json"] === true) {
    io.stdout(toSafeJson(value));
  } else {
    const subscriptions = await listSubscriptions(client);
    const orphans = await listOrphans(client);
    io.stdout(formatStatus(status, { screen, nowMs }));
    io.stdout(`\n${formatSubscriptions(subscriptions, { screen, nowMs })}`);
    if (orphans.length > 0) io.stdout(`\n${formatOrphans(orphans, screen)}`);
  }
  return status.readiness.isReady ? 0 : 1;
}

interface View {
  readonly screen: Screen;
  readonly nowMs: number;
}

function formatStatus(status: Status, { screen, nowMs }: View): string {
  const lines = [
    ...describeReadiness(status, screen),
    `relay   ${describeProcess(status, nowMs)}`,
    ...describeConfig(status, { screen, nowMs }),
    ...describeNats(status, screen),
    ...describeDeliveryLog(status, screen),
    ...describeTelemetry(status, screen),
    ...status.unusable.map(({ id, reason }) =>
      paint(screen, "red", clean(`unusable here: ${id}: ${reason}`)),
    ),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function describeReadiness({ readiness, subscriptions }: Status, screen: Screen): readonly string[] {
  const total = Object.values(subscriptions).reduce((sum, count) => sum + count, 0);
  const { failed = 0 } = subscriptions;
  const of = `${failed} of ${counted(total, "subscription")} in failure`;
  const failures = failed === 0 ? "" : `, ${paint(screen, "red", of)}`;
  if (readiness.isReady) return [paint(screen, "green", "ready") + failures];
  return [
    paint(screen, "red", "not ready") + failures,
    ...readiness.reasons.map((reason) => `  ${clean(reason)}`),
  ];
}

function describeProcess({ host, version, commit, startedAt }: Status, nowMs: number): string {
  const startedMs = Date.parse(startedAt);
  const since = Number.isNaN(startedMs) ? "" : `, up for ${toSpan(Math.max(0, nowMs - startedMs))}`;
  return clean(`${version} (${commit}) on ${host}${since}`);
}

function describeConfig({ config }: Status, { screen, nowMs }: View): readonly string[] {
  const { path, loadedAt, refused, warnings } = config;
  const report = refused === null ? [] : cleanLines(`refused: ${refused}`).split("\n");
  return [
    `config  ${clean(path)}, loaded ${toRelative(loadedAt, nowMs)}`,
    ...report.map((line) => `        ${paint(screen, "red", line)}`),
    ...warnings.map((warning) => `        ${paint(screen, "yellow", `warning: ${clean(warning)}`)}`),
  ];
}

function describeDeliveryLog({ deliveryLog: { fault, dropped } }: Status, screen: Screen): readonly string[] {
  if (fault === null && dropped === 0) return [];
  const text =
    fault ?? `${dropped} records were dropped since the start: they came faster than the disk takes them`;
  return [`log     ${paint(screen, "yellow", clean(text))}`];
}

function describeTelemetry({ telemetry }: Status, screen: Screen): readonly string[] {
  if (telemetry === null) return [];
  const { endpoint, exported, dropped, fault } = telemetry;
  return [
    `traces  ${clean(`${exported} spans sent to ${endpoint}, ${dropped} dropped`)}`,
    ...(fault === null ? [] : [`        ${paint(screen, "yellow", clean(fault))}`]),
  ];
}

function describeNats({ nats }: Status, screen: Screen): readonly string[] {
  const { connected, server, serverVersion, reconnects, lastError, bucket } = nats;
  const version = serverVersion === null ? "" : `, nats-server ${serverVersion}`;
  const times = reconnects === 0 ? "" : `, ${reconnects} ${reconnects === 1 ? "reconnect" : "reconnects"}`;
  const text = connected
    ? `connected to ${server ?? "NATS"}${version}${times}`
    : paint(screen, "red", clean(`not connected${lastError === null ? "" : `: ${lastError}`}`));
  return [
    `nats    ${connected ? clean(text) : text}`,
    ...(bucket === null ? [] : [`        ${paint(screen, "yellow", clean(bucket))}`]),
  ];
}

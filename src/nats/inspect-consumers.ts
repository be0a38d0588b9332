// What would become of the consumer of each subscription, without touching it.

import { durableName, type Subscription } from "#delivery/subscription.ts";
import { RelayError } from "#lib/errors.ts";

import type { ConsumerInfo } from "./answers.ts";
import type { Connection } from "./connection.ts";
import { type ConsumerSettings, describePolicy, filtersOf, toConsumerSettings } from "./consumer-config.ts";
import { foreseeRefusal, type Neighbour } from "./consumer-foresight.ts";
import { listConsumers } from "./consumer-info.ts";
import { type ConsumerPlan, describeRecreation, planConsumer, type Sight } from "./consumer-plan.ts";
import { lookAtConsumer } from "./consumer.ts";
import { refusal } from "./consumer-put.ts";
import type { Finding } from "./finding.ts";

interface Inspected {
  readonly connection: Connection;
  readonly subscription: Subscription;
  readonly settings: ConsumerSettings;
  /** The whole config's, this one included. */
  readonly all: readonly Subscription[];
}

/** At once, so many. */
const BATCH = 32;

/** In the order of `wanted`; `all` are those of the whole config, which may stand in each other's way. */
export async function inspectConsumers(
  connection: Connection,
  wanted: readonly Subscription[],
  all: readonly Subscription[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (let start = 0; start < wanted.length; start += BATCH) {
    const batch = wanted.slice(start, start + BATCH).map((subscription) => {
      const settings = toConsumerSettings(subscription);
      return inspectConsumer({ connection, subscription, settings, all });
    });
    findings.push(...(await Promise.all(batch)).flat());
  }
  return findings;
}

async function inspectConsumer(inspected: Inspected): Promise<readonly Finding[]> {
  const { connection, subscription, settings } = inspected;
  const toFinding = (level: Finding["level"], message: string): Finding => ({
    level,
    about: `subscription ${subscription.id}`,
    message,
  });
  try {
    const sight = await lookAtConsumer(connection, settings);
    const plan = planConsumer(sight, settings, null);
    if (plan.kind === "refuse") return [toFinding("error", refusal(settings, plan.reason).message)];
    const { neighbours, warnings } = await listNeighbours(inspected, { sight, plan });
    const reason = foreseeRefusal(plan, settings, { sight, neighbours });
    if (reason !== null) return [toFinding("error", refusal(settings, reason).message)];
    return [
      ...describePlan(plan, settings).map(({ level, message }) => toFinding(level, message)),
      ...warnings.map((message) => toFinding("warning", message)),
    ];
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    if (error.code !== "stream-missing") return [toFinding("error", error.message)];
    return [toFinding("warning", `Stream ${placeOf(settings)} is not there: it is waited for`)];
  }
}

/** Those that a work queue would not let it overlap; elsewhere they do not matter. */
async function listNeighbours(
  { connection, subscription, settings, all }: Inspected,
  { sight, plan }: { sight: Sight; plan: ConsumerPlan },
): Promise<{ neighbours: readonly Neighbour[]; warnings: readonly string[] }> {
  if (sight.stream.config.retention !== "workqueue" || plan.kind === "keep") {
    return { neighbours: [], warnings: [] };
  }
  const { domain, stream } = settings.source;
  const others = all.filter(
    ({ id, source, isPaused }) =>
      id !== subscription.id && source.domain === domain && source.stream === stream && !isPaused,
  );
  const expected = new Set([subscription, ...others].map(({ id }) => durableName(id)));
  const neighbours = others.map(({ id, source }) => ({
    name: `subscription ${id}`,
    filterSubjects: source.filterSubjects,
  }));
  try {
    const there = await listConsumers(connection, { domain, stream });
    const strangers = there
      .filter(({ name }) => !expected.has(name))
      .map(({ name, config }) => ({ name: `consumer ${name}`, filterSubjects: filtersOf(config) }));
    return { neighbours: [...strangers, ...neighbours], warnings: [] };
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    return { neighbours, warnings: [`${error.message}, so overlaps with them are not known`] };
  }
}

function describePlan(
  plan: Exclude<ConsumerPlan, { kind: "refuse" }>,
  settings: ConsumerSettings,
): readonly Pick<Finding, "level" | "message">[] {
  const consumer = `Consumer ${settings.durable} of ${placeOf(settings)}`;
  switch (plan.kind) {
    case "keep":
      return [
        { level: "note", message: `${consumer} is kept, ${describeBacklog(plan.consumer)}` },
        ...plan.notes.map((message) => ({ level: "warning" as const, message })),
      ];
    case "update":
      return [
        {
          level: "note",
          message: `${consumer} will be updated in place: ${plan.fields.join(", ")}`,
        },
        ...plan.notes.map((message) => ({ level: "warning" as const, message })),
      ];
    case "create": {
      const policy = describePolicy(settings.source.deliverPolicy);
      const start = `with deliver policy ${policy}, or after what this host has done of it before`;
      return [
        { level: "note", message: `${consumer} will be made, ${start}` },
        ...plan.planned.notes.map((message) => ({ level: "warning" as const, message })),
      ];
    }
    case "recreate":
      return [{ level: "warning", message: `${consumer} will be made ${describeRecreation(plan)}` }];
  }
}

function describeBacklog({ num_pending: pending, num_ack_pending: unacked }: ConsumerInfo): string {
  const held = unacked === 0 ? "" : `, ${unacked} not acknowledged yet`;
  return `${pending} ${pending === 1 ? "message" : "messages"} to come${held}`;
}

function placeOf({ source: { stream, domain } }: ConsumerSettings): string {
  return domain === null ? stream : `${stream} in domain ${domain}`;
}

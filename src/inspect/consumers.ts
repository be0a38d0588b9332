// Dry run of the consumers: what a relay would do with each subscription's consumer, and why the server would refuse it.

import { durableName, type Subscription } from "#delivery/subscription.ts";
import { isOverlapping } from "#delivery/subject.ts";
import { RelayError } from "#lib/errors.ts";

import { limitsOf } from "./account.ts";
import type { AccountInfo, ConsumerInfo, StreamInfo } from "#nats/answers.ts";
import type { Connection } from "#nats/connection.ts";
import {
  type ConsumerSettings,
  describePolicy,
  filtersOf,
  fitToStream,
  toConsumerSettings,
} from "#consumer/config.ts";
import { listConsumers } from "#consumer/info.ts";
import { type ConsumerPlan, describeRecreation, planConsumer, type Snapshot } from "#consumer/plan.ts";
import { refusal } from "#consumer/put.ts";
import { takeSnapshot } from "#consumer/snapshot.ts";
import type { Finding } from "./finding.ts";
import { findLimit, inspectCapacity, type Wish } from "./capacity.ts";
import { adviseStream, type StreamRef } from "#nats/stream.ts";

interface Inspected {
  readonly connection: Connection;
  readonly subscription: Subscription;
  readonly settings: ConsumerSettings;
  /** All subscriptions of the config, this one included. */
  readonly all: readonly Subscription[];
  /** null: unknown. */
  readonly account: AccountInfo | null;
  readonly adviseMissing: (stream: StreamRef) => Promise<string>;
}

interface Inspection {
  readonly findings: readonly Finding[];
  /** The stream in which it needs a new consumer; null: none. */
  readonly stream: StreamInfo | null;
}

/** Subscriptions checked at once. */
const BATCH = 32;

interface InspectConsumersOptions {
  /** All subscriptions of the config: they may exclude each other. */
  readonly all: readonly Subscription[];
  readonly accountOf: (domain: string | null) => AccountInfo | null;
}

/** Findings in the order of `wanted`, then those about streams. */
export async function inspectConsumers(
  connection: Connection,
  wanted: readonly Subscription[],
  { all, accountOf }: InspectConsumersOptions,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const advice = new Map<string, Promise<string>>();
  // Cached: many subscriptions may name one stream.
  const adviseMissing = (stream: StreamRef) => {
    const key = `${stream.domain ?? ""} ${stream.stream}`;
    const known = advice.get(key) ?? adviseStream(connection, stream);
    advice.set(key, known);
    return known;
  };
  const wishes = new Map<string, Wish & { readonly ids: string[] }>();
  for (let start = 0; start < wanted.length; start += BATCH) {
    const batch = wanted.slice(start, start + BATCH).map(async (subscription) => {
      const account = accountOf(subscription.source.domain);
      const settings = toConsumerSettings(subscription);
      const inspected = { connection, subscription, settings, all, account, adviseMissing };
      return { subscription, account, inspection: await inspectConsumer(inspected) };
    });
    for (const { subscription, account, inspection } of await Promise.all(batch)) {
      findings.push(...inspection.findings);
      const { stream } = inspection;
      if (stream === null) continue;
      const key = `${subscription.source.domain ?? ""} ${stream.config.name}`;
      const known = wishes.get(key);
      if (known === undefined) wishes.set(key, { stream, account, ids: [subscription.id] });
      else known.ids.push(subscription.id);
    }
  }
  const version = connection.status().serverVersion ?? "";
  return [...findings, ...inspectCapacity([...wishes.values()], version)];
}

async function inspectConsumer(inspected: Inspected): Promise<Inspection> {
  const { connection, subscription, settings: wanted, account, adviseMissing } = inspected;
  const toInspection = (found: readonly Omit<Finding, "about">[], stream: StreamInfo | null = null) => ({
    findings: found.map((finding) => ({ about: `subscription ${subscription.id}`, ...finding })),
    stream,
  });
  try {
    const snapshot = await takeSnapshot(connection, wanted);
    const { stream } = snapshot;
    const settings = fitToAccount(fitToStream(wanted, stream), stream, account);
    const plan = planConsumer(snapshot, settings, { position: null, hasSkipped: false });
    if (plan.kind === "refuse") {
      return toInspection([{ level: "error", message: refusal(settings, plan.reason).message }]);
    }
    const { neighbours, warnings } = await listNeighbours(inspected, { snapshot, plan });
    const reason = findRefusal(plan, settings, {
      snapshot,
      neighbours,
      maxConsumers: findLimit({ stream, account }),
    });
    if (reason !== null)
      return toInspection([{ level: "error", message: refusal(settings, reason).message }]);
    const found = [
      ...describePlan(plan, settings),
      ...describeFit(wanted, settings),
      ...warnings.map((message) => ({ level: "warning" as const, message })),
    ];
    return toInspection(found, plan.kind === "create" ? stream : null);
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    if (error.code !== "stream-missing") return toInspection([{ level: "error", message: error.message }]);
    const message = `Stream ${describeStream(wanted)} does not exist, and a relay would wait for it`;
    return toInspection([{ level: "error", message, suggestion: await adviseMissing(wanted.source) }]);
  }
}

function fitToAccount(
  settings: ConsumerSettings,
  { config }: StreamInfo,
  account: AccountInfo | null,
): ConsumerSettings {
  const most = account === null ? null : (limitsOf(account, config.num_replicas)?.maxAckPending ?? null);
  return { ...settings, maxAckPending: Math.min(settings.maxAckPending, most ?? Infinity) };
}

function describeFit(
  wanted: ConsumerSettings,
  { durable, maxAckPending }: ConsumerSettings,
): readonly Omit<Finding, "about">[] {
  if (!wanted.acks || maxAckPending === wanted.maxAckPending) return [];
  const limit = `max ack pending is limited to ${maxAckPending}, where ${wanted.maxAckPending} would be set`;
  return [{ level: "note", message: `Consumer ${durable} of ${describeStream(wanted)}: ${limit}` }];
}

/** On a work queue, the consumers that a new one must not overlap; on other streams none. */
async function listNeighbours(
  { connection, subscription, settings, all }: Inspected,
  { snapshot, plan }: { snapshot: Snapshot; plan: ConsumerPlan },
): Promise<{ neighbours: readonly Neighbour[]; warnings: readonly string[] }> {
  if (snapshot.stream.config.retention !== "workqueue" || plan.kind === "keep") {
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
  const consumer = `Consumer ${settings.durable} of ${describeStream(settings)}`;
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
        { level: "note", message: `${consumer} will be created, ${start}` },
        ...plan.planned.notes.map((message) => ({ level: "warning" as const, message })),
      ];
    }
    case "recreate":
      return [{ level: "warning", message: `${consumer} will be ${describeRecreation(plan)}` }];
  }
}

function describeBacklog({ num_pending: pending, num_ack_pending: unacked }: ConsumerInfo): string {
  const held = unacked === 0 ? "" : `, ${unacked} not acknowledged yet`;
  return `${pending} ${pending === 1 ? "message" : "messages"} to come${held}`;
}

function describeStream({ source: { stream, domain } }: ConsumerSettings): string {
  return domain === null ? stream : `${stream} in domain ${domain}`;
}

/** Another consumer of the same stream, existing or planned. */
interface Neighbour {
  /** For messages. */
  readonly name: string;
  /** Empty: all subjects. */
  readonly filterSubjects: readonly string[];
}

/** Predicts why the server would refuse the plan, without a request that could change anything; null: no reason known. */
function findRefusal(
  plan: ConsumerPlan,
  settings: ConsumerSettings,
  {
    snapshot,
    neighbours,
    maxConsumers,
  }: { snapshot: Snapshot; neighbours: readonly Neighbour[]; maxConsumers: number | null },
): string | null {
  if (plan.kind === "keep" || plan.kind === "refuse") return null;
  const { config, state } = snapshot.stream;
  const isFull = maxConsumers !== null && state.consumer_count >= maxConsumers;
  if (plan.kind === "recreate" && config.retention === "interest" && isFull) {
    return `the stream takes no more than ${maxConsumers} consumers, and it is made anew beside a placeholder`;
  }
  return config.retention === "workqueue" ? findWorkQueueRefusal(plan, settings, neighbours) : null;
}

function findWorkQueueRefusal(
  plan: ConsumerPlan,
  { source }: ConsumerSettings,
  neighbours: readonly Neighbour[],
): string | null {
  const isByPolicy = plan.kind === "create" && plan.planned.start.kind !== "remaining";
  if (isByPolicy && source.deliverPolicy.kind !== "all") {
    const found = describePolicy(source.deliverPolicy);
    return `a work queue takes only consumers that deliver all, so its deliverPolicy cannot be ${found}`;
  }
  const rival = neighbours.find(({ filterSubjects }) =>
    areOverlapping(filterSubjects, source.filterSubjects),
  );
  if (rival === undefined) return null;
  return `on a work queue no two consumers may overlap, and ${rival.name} takes ${describeFilters(rival)}`;
}

function areOverlapping(left: readonly string[], right: readonly string[]): boolean {
  return orAll(left).some((one) => orAll(right).some((other) => isOverlapping(one, other)));
}

function orAll(filters: readonly string[]): readonly string[] {
  return filters.length === 0 ? [">"] : filters;
}

function describeFilters({ filterSubjects }: Neighbour): string {
  return filterSubjects.length === 0 ? "all of it" : filterSubjects.join(", ");
}

// What the server would refuse of a plan, told without asking it: at start it is asked, an inspection must not. Pure.

import { isOverlapping } from "#delivery/subject.ts";

import { type ConsumerSettings, describePolicy } from "#consumer/config.ts";
import type { ConsumerPlan, Snapshot } from "#consumer/plan.ts";

/** Another consumer of the same stream, there or to come. */
export interface Neighbour {
  /** For people. */
  readonly name: string;
  /** Empty: all. */
  readonly filterSubjects: readonly string[];
}

/** null: nothing is known that the server would refuse. */
export function foreseeRefusal(
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
  return config.retention === "workqueue" ? foreseeOfWorkQueue(plan, settings, neighbours) : null;
}

function foreseeOfWorkQueue(
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

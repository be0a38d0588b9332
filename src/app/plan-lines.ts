// What a reload did, in lines for people.

import { isDeepStrictEqual } from "node:util";
import type { Config } from "#config/resolve.ts";
import type { Plan } from "#runtime/reconcile.ts";
import type { Taken } from "./core.ts";

/** What is used from now on, without an end to anything. */
export function describeSettings(before: Config, after: Config): readonly string[] {
  const keys = ["deliveryLog", "shutdown", "logs", "entrypoints"] as const;
  return keys
    .filter((key) => !isDeepStrictEqual(before[key], after[key]))
    .map((key) => `Settings changed: ${key}`);
}

/** Why a config was refused whole: `keys` cannot change while the relay runs. */
export function describeRefusal(keys: readonly string[]): string {
  return `Cannot change ${keys.join(", ")} while the relay runs: restart it to use this config`;
}

export function describeTaken({ plans, isSettled }: Taken): readonly string[] {
  return [...plans.flatMap(describePlan), ...(isSettled ? [] : ["What is in flight still ends"])];
}

function describePlan({ start, stop, update, replace }: Plan): readonly string[] {
  const idsOf = (subscriptions: Plan["start"]) => subscriptions.map(({ id }) => id);
  return [
    ...idsOf(start).map((id) => `Subscription ${id} started`),
    ...stop.map((id) => `Subscription ${id} stopped`),
    ...idsOf(update).map((id) => `Subscription ${id} changed, without a break`),
    ...idsOf(replace).map((id) => `Subscription ${id} changed, started anew`),
  ];
}

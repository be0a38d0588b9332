// What a reload did to the subscriptions, in lines for people.

import type { Plan } from "#runtime/reconcile.ts";

export function describePlan({ start, stop, update, replace }: Plan): readonly string[] {
  const idsOf = (subscriptions: Plan["start"]) => subscriptions.map(({ id }) => id);
  return [
    ...idsOf(start).map((id) => `Subscription ${id} started`),
    ...stop.map((id) => `Subscription ${id} stopped`),
    ...idsOf(update).map((id) => `Subscription ${id} changed, without a break`),
    ...idsOf(replace).map((id) => `Subscription ${id} changed, started anew`),
  ];
}

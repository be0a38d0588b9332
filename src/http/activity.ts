// What the last hour was like for each subscription, minute by minute: `/api/activity`, from which the page draws its charts.

import { Hono } from "hono";
import * as v from "valibot";
import type { Observer } from "#pipeline/observer.ts";
import { createBySubscription } from "./by-subscription.ts";
import type { ServerEnv } from "./caller.ts";
import { createMinutes, type Minutes, MINUTES } from "./minutes.ts";
import { pageOf } from "./page.ts";
import { toProblemResponse } from "./problem.ts";
import { count, date, pageSchema, text, type View } from "./view.ts";

const perMinute = (description: string) =>
  v.pipe(v.array(count("In one minute")), v.length(MINUTES), v.description(description));

export const activitySchema = v.strictObject({
  subscription: text("Its id"),
  perSecond: v.pipe(v.number(), v.minValue(0), v.description("Attempts, over the last minute")),
  delivered: perMinute("Attempts answered with 2xx in each minute of the last hour, oldest first"),
  failed: perMinute("All other attempts, likewise"),
});

export const activityPageSchema = v.strictObject({
  ...pageSchema(activitySchema).entries,
  endsAt: date("When the newest minute ends"),
});

export interface Activity {
  readonly observer: Observer;
  readonly of: (subscription: string) => Minutes;
  /** Those that tried something; the others are forgotten. */
  readonly list: (subscriptions: ReadonlySet<string>) => readonly (readonly [string, Minutes])[];
}

const MINUTE_MS = 60_000;

/** Where no clock is set it is that on the wall; a clock that is set neither empties a chart nor stops it. */
const steadyTime = () => performance.timeOrigin + performance.now();

export function createActivity(now: () => number = steadyTime): Activity {
  const kept = createBySubscription(() => createMinutes(now));
  return {
    observer: {
      attempted: ({ subscription: { id }, exchange: { outcome } }) =>
        kept.of(id).add(outcome.kind === "delivered" ? "delivered" : "failed"),
      settled: () => {},
      postponed: () => {},
    },
    of: kept.of,
    list(subscriptions) {
      kept.retain(subscriptions);
      return [...kept.entries()];
    },
  };
}

/** `subscriptions`: those that there are. */
export function createActivityRoute(
  activity: Activity,
  subscriptions: () => ReadonlySet<string>,
): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  routes.get("/", (context) => {
    const page = pageOf(activity.list(subscriptions()), {
      keyOf: ([subscription]) => subscription,
      query: context.req.query(),
    });
    if (page.kind === "invalid") return toProblemResponse({ status: 400, detail: page.detail });
    const items = page.items.map(([subscription, minutes]) => ({ subscription, ...minutes.read() }));
    const endsAt = new Date(Date.now() + MINUTE_MS - (steadyTime() % MINUTE_MS)).toISOString();
    const answer: View<typeof activityPageSchema> = { items, next: page.next, endsAt };
    return context.json(answer);
  });
  return routes;
}

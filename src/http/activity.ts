// Counts attempts for each subscription and minute of the last hour: `/api/activity`, for the charts of the page.

import { Hono } from "hono";
import type { Observer } from "#pipeline/observer.ts";
import { activityPageSchema } from "#wire/status.ts";
import type { ViewOf } from "#wire/view.ts";
import { PAGE_PARAMETERS } from "#wire/query.ts";
import { describe, json, type Operation } from "./operation.ts";
import { createBySubscription } from "./by-subscription.ts";
import type { ServerContext, ServerEnv } from "./caller.ts";
import { createMinutes, type Minutes } from "./minutes.ts";
import { pageOf } from "./page.ts";
import { toProblemResponse } from "./problem.ts";

export interface Activity {
  readonly observer: Observer;
  readonly of: (subscription: string) => Minutes;
  /** The attempts of the last `minutes`, the running one included. */
  readonly recent: (subscription: string, minutes: number) => Attempts;
  /** Those that tried something; the others are forgotten. */
  readonly list: (subscriptions: ReadonlySet<string>) => readonly (readonly [string, Minutes])[];
}

export interface Attempts {
  readonly delivered: number;
  readonly failed: number;
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
    recent(subscription, minutes) {
      const counts = kept.find(subscription)?.read() ?? { delivered: [], failed: [] };
      const sum = (own: readonly number[]) => own.slice(-minutes).reduce((total, count) => total + count, 0);
      return { delivered: sum(counts.delivered), failed: sum(counts.failed) };
    },
    list(subscriptions) {
      kept.retain(subscriptions);
      return [...kept.entries()];
    },
  };
}

const LIST: Operation = {
  id: "listActivity",
  tag: "Relay",
  summary: "Counts the attempts of the last hour, minute by minute",
  description: "Of this relay, for each subscription that made an attempt since the start.",
  access: "read",
  query: PAGE_PARAMETERS,
  answers: [json(activityPageSchema, "A page of subscriptions")],
  problems: [400],
};

/** `subscriptions`: those that there are; `visible`: those of them that the caller may see. */
export function createActivityRoute(
  activity: Activity,
  subscriptions: () => ReadonlySet<string>,
  visible: (context: ServerContext) => ReadonlySet<string> = subscriptions,
): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  routes.get("/", describe(LIST), (context) => {
    const inSight = visible(context);
    const list = activity.list(subscriptions()).filter(([id]) => inSight.has(id));
    const page = pageOf(list, {
      keyOf: ([subscription]) => subscription,
      query: context.req.query(),
    });
    if (page.kind === "invalid") return toProblemResponse({ status: 400, detail: page.detail });
    const items = page.items.map(([subscription, minutes]) => ({ subscription, ...minutes.read() }));
    const endsAt = new Date(Date.now() + MINUTE_MS - (steadyTime() % MINUTE_MS)).toISOString();
    const answer: ViewOf<typeof activityPageSchema> = { items, next: page.next, endsAt };
    return context.json(answer);
  });
  return routes;
}

// `/api/orphans`: lists consumers that belong to no subscription of this relay and that nobody pulls from.

import { Hono } from "hono";
import { PAGE_PARAMETERS } from "#wire/query.ts";
import { type Orphan, orphanPageSchema } from "#wire/status.ts";
import { describe, json, type Operation } from "./operation.ts";
import type { ServerEnv } from "./caller.ts";
import { pageOf } from "./page.ts";
import { toProblemResponse } from "./problem.ts";

const LIST: Operation = {
  id: "listOrphans",
  tag: "Relay",
  summary: "Lists consumers that belong to no subscription of this relay",
  description:
    "On the streams in use, and nobody pulls from them. They are left over from deleted subscriptions, or belong to another relay that does not run them now.",
  access: "read",
  query: PAGE_PARAMETERS,
  answers: [json(orphanPageSchema, "A page of consumers")],
  problems: [400],
};

/** They are left by subscriptions that were taken out of the file, or are those of another relay that holds them back. */
export function createOrphans(list: () => readonly Orphan[]): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  routes.get("/", describe(LIST), (context) => {
    const page = pageOf(list(), {
      keyOf: ({ domain, stream, consumer }) => [domain ?? "", stream, consumer].join(" "),
      query: context.req.query(),
    });
    if (page.kind === "invalid") return toProblemResponse({ status: 400, detail: page.detail });
    return context.json({ items: page.items, next: page.next });
  });
  return routes;
}

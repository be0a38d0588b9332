// `/api/orphans`: consumers named like those of subscriptions, on the streams in use, that nobody has or pulls from.

import { Hono } from "hono";
import type { Orphan } from "#wire/status.ts";
import type { ServerEnv } from "./caller.ts";
import { pageOf } from "./page.ts";
import { toProblemResponse } from "./problem.ts";

/** They are left by subscriptions that were taken out of the file, or are those of another relay that holds them back. */
export function createOrphans(list: () => readonly Orphan[]): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  routes.get("/", (context) => {
    const page = pageOf(list(), {
      keyOf: ({ domain, stream, consumer }) => [domain ?? "", stream, consumer].join(" "),
      query: context.req.query(),
    });
    if (page.kind === "invalid") return toProblemResponse({ status: 400, detail: page.detail });
    return context.json({ items: page.items, next: page.next });
  });
  return routes;
}

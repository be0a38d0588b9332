// `/api/orphans`: consumers named like those of subscriptions, on the streams in use, that nobody has or pulls from.

import { Hono } from "hono";
import * as v from "valibot";
import type { ServerEnv } from "./caller.ts";
import { pageOf } from "./page.ts";
import { toProblemResponse } from "./problem.ts";
import { count, text, textOrNull, type View } from "./view.ts";

export const orphanSchema = v.strictObject({
  consumer: text("The durable, `relay-<id>`"),
  subscription: text("Id that the subscription had"),
  domain: textOrNull("JetStream domain of the stream"),
  stream: text("The stream"),
  pending: count("Messages that it would get"),
  ackPending: count("Delivered, but not acknowledged"),
});

export type Orphan = View<typeof orphanSchema>;

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

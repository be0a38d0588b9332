// `/api/applications`: paused and resumed as a whole, with all subscriptions that they have and those that they make meanwhile.

import { type Context, Hono } from "hono";
import * as v from "valibot";
import { name } from "#config/schema-parts.ts";
import { RelayError } from "#lib/errors.ts";
import type { Application } from "#wire/subscription.ts";
import type { ServerEnv } from "./caller.ts";
import { pageOf } from "./page.ts";
import { toProblemResponse } from "./problem.ts";

export interface Applications {
  readonly list: () => readonly Application[];
  /** Resolve when it is stored, or waits for that. Reject with a RelayError. */
  readonly pause: (application: string) => Promise<Application>;
  readonly resume: (application: string) => Promise<Application>;
}

const nameSchema = name("Of the application");

export function createApplicationRoutes(applications: () => Applications): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();

  async function command(context: Context<ServerEnv>, kind: "pause" | "resume"): Promise<Response> {
    const parsed = v.safeParse(nameSchema, context.req.param("application"));
    if (!parsed.success)
      return toProblemResponse({ status: 404, detail: "No application has a name like that" });
    try {
      const shown = await applications()[kind](parsed.output);
      return context.json(shown, shown.notStored === null ? 200 : 202);
    } catch (error) {
      if (!(error instanceof RelayError)) throw error;
      return toProblemResponse({ status: 409, detail: error.message });
    }
  }

  routes.get("/", (context) => {
    const page = pageOf(applications().list(), {
      keyOf: ({ application }) => application,
      query: context.req.query(),
    });
    if (page.kind === "invalid") return toProblemResponse({ status: 400, detail: page.detail });
    return context.json({ items: page.items, next: page.next });
  });
  routes.post("/:application/pause", (context) => command(context, "pause"));
  routes.post("/:application/resume", (context) => command(context, "resume"));
  return routes;
}

// `/api/applications`: lists applications, and pauses or resumes all subscriptions of one, future ones included.

import { type Context, Hono } from "hono";
import * as v from "valibot";
import { name } from "#schema/parts.ts";
import { RelayError } from "#lib/errors.ts";
import { PAGE_PARAMETERS } from "#wire/query.ts";
import type { Applications } from "#registry/applications.ts";
import { applicationPageSchema, applicationSchema } from "#wire/subscription.ts";
import { describe, json, type Operation } from "./operation.ts";
import type { ServerEnv } from "./caller.ts";
import { pageOf } from "./page.ts";
import { toProblemResponse } from "./problem.ts";

const nameSchema = name("Of the application");

const NOT_STORED =
  "NATS is not available: the command holds on this relay, which stores it later, and `notStored` says why";
const LIST: Operation = {
  id: "listApplications",
  tag: "Applications",
  summary: "Lists applications in the order of their names",
  description: "Those that have subscriptions here, and those that are paused.",
  access: "read",
  query: PAGE_PARAMETERS,
  answers: [json(applicationPageSchema, "A page of applications")],
  problems: [400],
};
const PAUSE: Operation = {
  id: "pauseApplication",
  tag: "Applications",
  summary: "Pauses all subscriptions of an application",
  description: "Those that it makes while it is paused are paused too.",
  access: "write",
  params: { application: "Name of the application" },
  answers: [
    json(applicationSchema, "The application, in its new state"),
    json(applicationSchema, NOT_STORED, { status: 202 }),
  ],
  problems: [404, 409],
};
const RESUME: Operation = {
  ...PAUSE,
  id: "resumeApplication",
  summary: "Ends the pause of an application",
  description: "A subscription that was paused on its own stays paused.",
};

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

  routes.get("/", describe(LIST), (context) => {
    const page = pageOf(applications().list(), {
      keyOf: ({ application }) => application,
      query: context.req.query(),
    });
    if (page.kind === "invalid") return toProblemResponse({ status: 400, detail: page.detail });
    return context.json({ items: page.items, next: page.next });
  });
  routes.post("/:application/pause", describe(PAUSE), (context) => command(context, "pause"));
  routes.post("/:application/resume", describe(RESUME), (context) => command(context, "resume"));
  return routes;
}

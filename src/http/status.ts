// `/livez`, `/readyz`, `/metrics`, `/api/status` and `/api/config`: the state of the relay, for probes, Prometheus and people.

import { type Context, Hono } from "hono";
import { toBriefReadiness, toCountedReadiness } from "#runtime/brief-readiness.ts";
import type { Readiness } from "#runtime/runtime.ts";
import { configViewSchema } from "#wire/definition.ts";
import { readinessSchema, type Status, statusSchema } from "#wire/status.ts";
import type { ViewOf } from "#wire/view.ts";
import type { ServerEnv } from "./caller.ts";
import { describe, json, type Operation, raw } from "./operation.ts";

export interface StatusRoutesOptions {
  readonly readiness: () => Readiness;
  /** The exposition in Prometheus' text format, with its content type. */
  readonly metrics: () => Promise<{ contentType: string; text: string }>;
  readonly status: () => Status;
  /** The config as it may be shown. */
  readonly config: () => unknown;
}

const ALIVE: Operation = {
  id: "isAlive",
  tag: "Relay",
  summary: "Tells whether the process answers",
  description: "For liveness probes. It answers as long as the process runs.",
  access: "open",
  answers: [raw(["text/plain"], "The process answers")],
};
const READY: Operation = {
  id: "isReady",
  tag: "Relay",
  summary: "Tells whether the relay can do its job",
  description: "For readiness probes. Callers that may not read the status get numbers instead of names.",
  access: "open",
  answers: [
    json(readinessSchema, "The relay is ready"),
    json(readinessSchema, "The relay is not ready: `reasons` says why", { status: 503 }),
  ],
};
const METRICS: Operation = {
  id: "getMetrics",
  tag: "Relay",
  summary: "Exposes metrics for Prometheus",
  description: "In the text exposition format.",
  access: "read",
  answers: [raw(["text/plain"], "The metrics")],
};
const STATUS: Operation = {
  id: "getStatus",
  tag: "Relay",
  summary: "Shows the status of the relay",
  description:
    "Version, config, NATS, delivery log, readiness, and how many subscriptions are in which state.",
  access: "read",
  answers: [json(statusSchema, "The status")],
};
const CONFIG: Operation = {
  id: "getConfig",
  tag: "Relay",
  summary: "Shows the config that runs",
  description:
    "In the shape of the file, with its defaults. A secret is `***`, a reference is shown as it is.",
  access: "read",
  answers: [json(configViewSchema, "The config")],
};

/** `mayReadAll`: whether the caller of an open route may read the status too. */
export function createStatusRoutes(
  { readiness, metrics, status, config }: StatusRoutesOptions,
  mayReadAll: (context: Context<ServerEnv>) => Promise<boolean>,
): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  // Of `text()` the header would come from Bun, and is lost where the gate adds others.
  routes.get("/livez", describe(ALIVE), (context) =>
    context.body("alive\n", 200, { "content-type": "text/plain" }),
  );
  routes.get("/readyz", describe(READY), async (context) => {
    const toShown = (await mayReadAll(context)) ? toBriefReadiness : toCountedReadiness;
    const { isReady, reasons, idle } = toShown(readiness());
    const answer: ViewOf<typeof readinessSchema> = { ready: isReady, reasons, idle };
    return context.json(answer, isReady ? 200 : 503);
  });
  routes.get("/metrics", describe(METRICS), async (context) => {
    const { contentType, text } = await metrics();
    return context.body(text, 200, { "content-type": contentType });
  });
  routes.get("/api/status", describe(STATUS), (context) => context.json(status()));
  routes.get("/api/config", describe(CONFIG), (context) => context.json(config()));
  return routes;
}

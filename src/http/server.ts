// The routes that people and scripts see, behind the gate.

import { Hono } from "hono";
import type { EntrypointConfig } from "#config/resolve.ts";
import { toBriefReadiness, toCountedReadiness } from "#runtime/brief-readiness.ts";
import type { Readiness } from "#runtime/runtime.ts";
import type { Orphan, Status } from "#wire/status.ts";
import { SESSION_PATH } from "./access.ts";
import { type Activity, createActivityRoute } from "./activity.ts";
import type { ServerEnv } from "./caller.ts";
import { type Applications, createApplicationRoutes } from "./applications.ts";
import { createDeadLetterRoutes, type DeadLetterRoutesOptions } from "./dead-letters.ts";
import { createDeliveryRoutes, type DeliveryRoutesOptions } from "./deliveries.ts";
import { createGate, type GateOptions, mayReadAll } from "./gate.ts";
import { createLoggingRoutes, type LoggingRoutesOptions } from "./logging.ts";
import { createDocument, type Document } from "./openapi.ts";
import { createOrphans } from "./orphans.ts";
import { problemOf, toProblemResponse } from "./problem.ts";
import type { Reload } from "./reload.ts";
import { createReload } from "./reload.ts";
import { createReplayRoutes, type ReplayRoutesOptions } from "./replays.ts";
import { createSignIn } from "./sign-in.ts";
import type { ServerSlots } from "./slots.ts";
import type { SubscriptionsOptions } from "./subscription-reach.ts";
import { createSubscriptions } from "./subscriptions.ts";

export interface ServerOptions
  extends
    Omit<GateOptions, "openPaths" | "contextPaths">,
    DeadLetterRoutesOptions,
    DeliveryRoutesOptions,
    LoggingRoutesOptions,
    ReplayRoutesOptions,
    Pick<SubscriptionsOptions, "registry" | "lagOf" | "lastSequenceOf"> {
  readonly slots: ServerSlots;
  readonly readiness: () => Readiness;
  /** The exposition in Prometheus' text format, with its content type. */
  readonly metrics: () => Promise<{ contentType: string; text: string }>;
  readonly status: () => Status;
  readonly activity: Activity;
  readonly orphans: () => readonly Orphan[];
  readonly applications: () => Applications;
  /** The config as it may be shown. */
  readonly config: () => unknown;
  readonly reload: Reload;
  readonly entrypoints: readonly Pick<EntrypointConfig, "id" | "contextPath" | "recording">[];
  /** What people see, mounted at `/`: open to everybody. */
  readonly page: Hono;
  readonly onError: (error: unknown) => void;
}

const OPEN_PATHS: ReadonlySet<string> = new Set(["/livez", "/readyz", "/openapi.json"]);

export function createServer(options: ServerOptions): Hono<ServerEnv> {
  const { auth, sessions, entrypoints, readiness, metrics, page } = options;
  const server = new Hono<ServerEnv>();
  const contextPaths = entrypoints.map(({ contextPath }) => contextPath);
  const signIn = createSignIn({ auth, sessions });
  const openPaths = new Set([...OPEN_PATHS, ...page.routes.map(({ path }) => path)]);
  server.use(createGate({ ...options, openPaths, contextPaths }));
  // Of `text()` the header would come from Bun, and is lost where the gate adds others.
  server.get("/livez", (context) => context.body("alive\n", 200, { "content-type": "text/plain" }));
  server.get("/readyz", async (context) => {
    const toShown = (await mayReadAll(context, options)) ? toBriefReadiness : toCountedReadiness;
    const { isReady, reasons, idle } = toShown(readiness());
    return context.json({ ready: isReady, reasons, idle }, isReady ? 200 : 503);
  });
  server.get("/metrics", async (context) => {
    const { contentType, text } = await metrics();
    return context.body(text, 200, { "content-type": contentType });
  });
  let document: Document | null = null;
  server.get("/openapi.json", (context) => context.json((document ??= createDocument(auth.kind))));
  server.get(SESSION_PATH, signIn.show).post(signIn.signIn).delete(signIn.signOut);
  server.get("/api/status", (context) => context.json(options.status()));
  const subscriptions = () =>
    new Set(
      options
        .registry()
        .list()
        .map(({ subscription }) => subscription.id),
    );
  server.route("/api/activity", createActivityRoute(options.activity, subscriptions));
  server.get("/api/config", (context) => context.json(options.config()));
  server.route(
    "/api/reload",
    createReload({ reload: options.reload, loadedAt: () => options.status().config.loadedAt }),
  );
  server.route("/api/orphans", createOrphans(options.orphans));
  server.route("/api/applications", createApplicationRoutes(options.applications));
  server.route("/api/deliveries", createDeliveryRoutes(options));
  server.route("/api/logging", createLoggingRoutes(options));
  server.route("/api/dead-letters", createDeadLetterRoutes(options));
  server.route("/api/replays", createReplayRoutes(options));
  server.route("/api/subscriptions", createSubscriptions({ ...options, entrypoint: null }));
  for (const { id, contextPath } of entrypoints) {
    server.route(`${contextPath}/subscriptions`, createSubscriptions({ ...options, entrypoint: id }));
  }
  server.route("/", page);
  server.notFound(() => toProblemResponse({ status: 404 }));
  server.onError((error) => {
    options.onError(error);
    return toProblemResponse(problemOf(error));
  });
  return server;
}

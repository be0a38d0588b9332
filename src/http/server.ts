// Mounts all routes of the HTTP server behind the gate.

import { Hono } from "hono";
import type { EntrypointConfig } from "#config/resolve.ts";
import { SESSION_PATH } from "./access.ts";
import { type Activity, createActivityRoute } from "./activity.ts";
import type { ServerContext, ServerEnv } from "./caller.ts";
import type { Applications } from "#registry/applications.ts";
import { createApplicationRoutes } from "./applications.ts";
import { createDeadLetterRoutes, type DeadLetterRoutesOptions } from "./dead-letters.ts";
import { createDeliveryRoutes, type DeliveryRoutesOptions } from "./deliveries.ts";
import { SECURITY_HEADERS } from "./browser.ts";
import { createFleetRoutes, type FleetRoutesOptions } from "./fleet.ts";
import { createGate, type GateOptions, mayReadAll } from "./gate.ts";
import { createCursorSeal } from "./limit.ts";
import { createLoggingRoutes, type LoggingRoutesOptions } from "./logging.ts";
import { createDocument, DOCUMENT, type Document } from "./openapi.ts";
import { describe, listDescribed } from "./operation.ts";
import type { Orphan } from "#wire/status.ts";
import { createOrphans } from "./orphans.ts";
import { problemOf, toProblemResponse } from "./problem.ts";
import { createReload, type Reload } from "./reload.ts";
import { createReplayRoutes, type ReplayRoutesOptions } from "./replays.ts";
import { createSignIn } from "./sign-in.ts";
import type { ServerSlots } from "./slots.ts";
import { createStatusRoutes, type StatusRoutesOptions } from "./status.ts";
import { createReach, type SubscriptionsOptions } from "./subscription-reach.ts";
import { createSubscriptions } from "./subscriptions.ts";

interface ServerOptions
  extends
    Omit<GateOptions, "openPaths" | "contextPaths">,
    Omit<DeadLetterRoutesOptions, "entrypoint" | "cursors">,
    Omit<DeliveryRoutesOptions, "entrypoint" | "registry">,
    FleetRoutesOptions,
    LoggingRoutesOptions,
    Omit<ReplayRoutesOptions, "entrypoint">,
    StatusRoutesOptions,
    Pick<SubscriptionsOptions, "registry" | "lagOf" | "lastSequenceOf" | "previewSeek" | "messageAt"> {
  readonly slots: ServerSlots;
  readonly activity: Activity;
  readonly orphans: () => readonly Orphan[];
  readonly applications: () => Applications;
  readonly reload: Reload;
  readonly entrypoints: readonly Pick<EntrypointConfig, "id" | "contextPath" | "recording">[];
  /** What people see, mounted at `/`: open to everybody. */
  readonly page: Hono;
  /** What they see where there is nothing. */
  readonly unknownPage: () => Promise<Response>;
  readonly onError: (error: unknown) => void;
}

/** One for all that a process serves: a reload makes new routes. */
const CURSORS = createCursorSeal();

export function createServer(options: ServerOptions): Hono<ServerEnv> {
  const { auth, sessions, entrypoints, registry, page } = options;
  const server = new Hono<ServerEnv>();
  const contextPaths = entrypoints.map(({ contextPath }) => contextPath);
  server.use(async (context, next) => {
    await next();
    if (!isLost(context, contextPaths)) return;
    const found = await options.unknownPage();
    const { status } = found;
    const headers = { ...SECURITY_HEADERS, ...Object.fromEntries(found.headers) };
    // Else Hono keeps the headers of the answer before.
    context.res = undefined;
    context.res = new Response(found.body, { status, headers });
  });
  // Filled below from the operations of the routes, which come after the gate.
  const openPaths = new Set<string>();
  server.use(createGate({ ...options, openPaths, contextPaths }));
  const ids = () =>
    new Set(
      registry()
        .list()
        .map(({ subscription }) => subscription.id),
    );
  const loadedAt = () => options.status().config.loadedAt;
  let document: Document | null = null;
  server.get("/openapi.json", describe(DOCUMENT), (context) =>
    context.json((document ??= createDocument(auth.kind, described))),
  );
  server.route(
    "/",
    createStatusRoutes(options, (context) => mayReadAll(context, options)),
  );
  const signIn = createSignIn({ auth, sessions });
  server.route(`/api${SESSION_PATH}`, signIn);
  server.route("/api/activity", createActivityRoute(options.activity, ids));
  server.route("/api/reload", createReload({ reload: options.reload, loadedAt }));
  server.route("/api/orphans", createOrphans(options.orphans));
  server.route("/api/applications", createApplicationRoutes(options.applications));
  server.route("/api/fleet", createFleetRoutes(options));
  server.route("/api/logging", createLoggingRoutes(options));
  const addLists = (path: string, entrypoint: string | null) => {
    const own = { ...options, cursors: CURSORS, entrypoint };
    server.route(`${path}/deliveries`, createDeliveryRoutes(own));
    server.route(`${path}/dead-letters`, createDeadLetterRoutes(own));
    server.route(`${path}/replays`, createReplayRoutes(own));
    server.route(`${path}/subscriptions`, createSubscriptions(own));
  };
  addLists("/api", null);
  // The document is open to all: it names no entrypoint.
  const described = listDescribed(server.routes);
  for (const { path, operation } of described) if (operation.access === "open") openPaths.add(path);
  for (const { id, contextPath } of entrypoints) {
    addLists(contextPath, id);
    server.route(contextPath + SESSION_PATH, signIn);
    const reach = createReach({ ...options, entrypoint: id });
    const idsInReach = (context: ServerContext) =>
      new Set(reach.list(context).map(({ subscription }) => subscription.id));
    server.route(`${contextPath}/activity`, createActivityRoute(options.activity, ids, idsInReach));
  }
  server.route("/", page);
  server.notFound(() => toProblemResponse({ status: 404 }));
  server.onError((error) => {
    options.onError(error);
    return toProblemResponse(problemOf(error));
  });
  return server;
}

/** A browser that went to an address that is none, signed in or not. Below `/api` a program is meant. */
function isLost({ req, res }: ServerContext, contextPaths: readonly string[]): boolean {
  const isBelow = (prefix: string) => `${req.path}/`.startsWith(`${prefix}/`);
  const isMissing = res.status === 404 && !isBelow("/api");
  const isHidden = res.status === 401 && !["/api", "/metrics", ...contextPaths].some(isBelow);
  if (req.method !== "GET" || !(isMissing || isHidden)) return false;
  return /\btext\/html\b/u.test(req.header("accept") ?? "");
}

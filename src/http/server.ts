// The routes that people and scripts see, behind the gate.

import { Hono } from "hono";
import type { Readiness } from "#runtime/runtime.ts";
import { SESSION_PATH } from "./access.ts";
import type { ServerEnv } from "./caller.ts";
import { createGate, type GateOptions } from "./gate.ts";
import { createDocument, type Document } from "./openapi.ts";
import { createOrphans, type Orphan } from "./orphans.ts";
import { problemOf, toProblemResponse } from "./problem.ts";
import type { Reload } from "./reload.ts";
import { createReload } from "./reload.ts";
import type { Registry } from "./registry.ts";
import { createSignIn } from "./sign-in.ts";
import type { Status } from "./status.ts";
import { createSubscriptions } from "./subscriptions.ts";
import type { Lag } from "./subscription-view.ts";

export interface ServerOptions extends Omit<GateOptions, "openPaths" | "contextPaths"> {
  readonly readiness: () => Readiness;
  /** The exposition in Prometheus' text format, with its content type. */
  readonly metrics: () => Promise<{ contentType: string; text: string }>;
  readonly registry: () => Registry;
  readonly lagOf: (id: string) => Lag | null;
  readonly status: () => Status;
  readonly orphans: () => readonly Orphan[];
  /** The config as it may be shown. */
  readonly config: () => unknown;
  readonly reload: Reload;
  readonly entrypoints: readonly { readonly id: string; readonly contextPath: string }[];
  readonly onError: (error: unknown) => void;
}

const OPEN_PATHS: ReadonlySet<string> = new Set(["/livez", "/readyz", "/openapi.json"]);

export function createServer(options: ServerOptions): Hono<ServerEnv> {
  const { auth, sessions, mask, entrypoints, readiness, metrics } = options;
  const server = new Hono<ServerEnv>();
  const contextPaths = entrypoints.map(({ contextPath }) => contextPath);
  const signIn = createSignIn({ auth, sessions, mask });
  server.use(createGate({ ...options, openPaths: OPEN_PATHS, contextPaths }));
  server.get("/livez", (context) => context.text("alive\n"));
  server.get("/readyz", (context) => {
    const { isReady, reasons, idle } = readiness();
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
  server.get("/api/config", (context) => context.json(options.config()));
  server.route("/api/reload", createReload(options.reload, mask));
  server.route("/api/orphans", createOrphans(options.orphans, mask));
  server.route("/api/subscriptions", createSubscriptions({ ...options, entrypoint: null }));
  for (const { id, contextPath } of entrypoints) {
    server.route(`${contextPath}/subscriptions`, createSubscriptions({ ...options, entrypoint: id }));
  }
  server.notFound(() => toProblemResponse({ status: 404 }, mask));
  server.onError((error) => {
    options.onError(error);
    return toProblemResponse(problemOf(error), mask);
  });
  return server;
}

// `/subscriptions`, below `/api` and, limited to one entrypoint, below its context path.

import { type Context, Hono } from "hono";
import * as v from "valibot";
import { RelayError } from "#lib/errors.ts";
import { isVisible } from "./access.ts";
import type { ServerEnv } from "./caller.ts";
import { toExchangeView } from "./exchange-view.ts";
import { pageOf } from "./page.ts";
import { type Problem, toProblemResponse } from "./problem.ts";
import type { Registered, Registry, WriteOptions, WriteOutcome } from "./registry.ts";
import { resumeSchema, seekSchema, toDeliverPolicy } from "./subscription-bodies.ts";
import { type Lag, toSubscriptionView } from "./subscription-view.ts";

export interface SubscriptionsOptions {
  readonly registry: () => Registry;
  readonly lagOf: (id: string) => Lag | null;
  readonly mask: (text: string) => string;
  /** Null: those of all entrypoints. */
  readonly entrypoint: string | null;
}

type ServerContext = Context<ServerEnv>;

const WRITE_MS = 5000;
const MAX_TEST_BYTES = 65_536;

export function createSubscriptions(options: SubscriptionsOptions): Hono<ServerEnv> {
  const { registry, lagOf, mask, entrypoint } = options;
  const routes = new Hono<ServerEnv>();

  function isInReach(context: ServerContext, { running: { subscription } }: Registered): boolean {
    const isOfEntrypoint = entrypoint === null || subscription.entrypoint === entrypoint;
    return isOfEntrypoint && isVisible(context.get("access"), subscription.application);
  }

  function find(context: ServerContext): Registered | null {
    const found = registry().find(context.req.param("id") ?? "");
    return found !== null && isInReach(context, found) ? found : null;
  }

  function view(registered: Registered) {
    const lag = lagOf(registered.running.subscription.id);
    return toSubscriptionView(registered, { lag, mask, nowMs: performance.now() });
  }

  function refuse(problem: Problem): Response {
    return toProblemResponse(problem, mask);
  }

  function writeOptions(context: ServerContext): WriteOptions {
    const access = context.get("access");
    return {
      entrypoint,
      application: access.kind === "application" ? access.application : null,
      signal: AbortSignal.any([context.req.raw.signal, AbortSignal.timeout(WRITE_MS)]),
    };
  }

  function answer(context: ServerContext, outcome: WriteOutcome): Response {
    if (outcome.kind !== "written") return refuse(toProblem(outcome));
    const found = registry().find(outcome.id);
    const { pathname } = new URL(context.req.url);
    const base = pathname.slice(0, pathname.indexOf("/subscriptions"));
    context.header("etag", `"${outcome.revision}"`);
    if (outcome.isNew) context.header("location", `${base}/subscriptions/${outcome.id}`);
    const body = found === null ? { id: outcome.id, revision: outcome.revision } : view(found);
    return context.json(body, outcome.isNew ? 201 : 200);
  }

  routes.get("/", (context) => {
    const reachable = registry()
      .list()
      .filter((registered) => isInReach(context, registered));
    const page = pageOf(reachable, {
      keyOf: ({ running }) => running.subscription.id,
      limit: context.req.query("limit"),
      cursor: context.req.query("cursor"),
    });
    if (page.kind === "invalid") return refuse({ status: 400, detail: page.detail });
    return context.json({ items: page.items.map(view), next: page.next });
  });

  routes.post("/", async (context) => {
    const body = await readJson(context);
    if (body === undefined) return refuse(NOT_JSON);
    return answer(context, await registry().create(body, writeOptions(context)));
  });

  routes.get("/:id", (context) => {
    const found = find(context);
    if (found === null) return refuse(NOT_FOUND);
    if (found.revision !== null) context.header("etag", `"${found.revision}"`);
    return context.json({ ...view(found), definition: found.definition });
  });

  routes.put("/:id", async (context) => {
    const body = await readJson(context);
    if (body === undefined) return refuse(NOT_JSON);
    const revision = readIfMatch(context);
    if (revision === undefined) return refuse(BAD_IF_MATCH);
    if (find(context) === null) return refuse(NOT_FOUND);
    const id = context.req.param("id");
    return answer(context, await registry().replace(id, body, { ...writeOptions(context), revision }));
  });

  routes.delete("/:id", async (context) => {
    const revision = readIfMatch(context);
    if (revision === undefined) return refuse(BAD_IF_MATCH);
    if (find(context) === null) return refuse(NOT_FOUND);
    const { signal } = writeOptions(context);
    const outcome = await registry().remove(context.req.param("id"), { revision, signal });
    return outcome.kind === "written" ? context.body(null, 204) : refuse(toProblem(outcome));
  });

  for (const kind of ["pause", "stop", "start"] as const) {
    routes.post(`/:id/${kind}`, (context) => {
      const found = find(context);
      if (found === null) return refuse(NOT_FOUND);
      registry().command(found.running.subscription.id, { kind });
      return context.json(view(found));
    });
  }

  routes.post("/:id/resume", async (context) => {
    const found = find(context);
    if (found === null) return refuse(NOT_FOUND);
    const parsed = v.safeParse(resumeSchema, (await readJson(context)) ?? {});
    if (!parsed.success) return refuse(toBodyProblem(parsed.issues));
    registry().command(found.running.subscription.id, { kind: "resume", skip: parsed.output.skip });
    return context.json(view(found));
  });

  routes.post("/:id/seek", async (context) => {
    const found = find(context);
    if (found === null) return refuse(NOT_FOUND);
    const parsed = v.safeParse(seekSchema, await readJson(context));
    if (!parsed.success) return refuse(toBodyProblem(parsed.issues));
    try {
      await registry().seek(found.running.subscription.id, toDeliverPolicy(parsed.output));
    } catch (error) {
      if (!(error instanceof RelayError)) throw error;
      return refuse({ status: error.code === "nats-unavailable" ? 503 : 409, detail: error.message });
    }
    return context.json(view(found));
  });

  routes.post("/:id/test", async (context) => {
    const found = find(context);
    if (found === null) return refuse(NOT_FOUND);
    const body = new Uint8Array(await context.req.arrayBuffer());
    if (body.length > MAX_TEST_BYTES) return refuse({ status: 413, detail: "A sample has 64 KiB at most" });
    const exchange = await registry().test(found.running.subscription.id, body);
    return context.json(toExchangeView(exchange, mask));
  });

  return routes;
}

const NOT_FOUND: Problem = { status: 404, detail: "There is no such subscription" };
const NOT_JSON: Problem = { status: 400, detail: "The body is no JSON" };
const BAD_IF_MATCH: Problem = { status: 400, detail: 'If-Match takes one revision, such as "7"' };

function toProblem(outcome: Exclude<WriteOutcome, { kind: "written" }>): Problem {
  switch (outcome.kind) {
    case "invalid":
      return { status: 422, detail: "The subscription has faults", errors: outcome.faults };
    case "read-only":
      return { status: 409, detail: "It stands in the config file, and is changed there" };
    case "missing":
      return NOT_FOUND;
    case "conflict":
      return {
        status: 409,
        detail:
          outcome.revision === null
            ? "The id is taken, or it is no more"
            : `It was changed meanwhile: its revision is ${outcome.revision}`,
      };
    case "refused":
      return { status: 422, detail: outcome.reason };
    case "unavailable":
      return { status: 503, detail: outcome.reason };
  }
}

/** undefined: there is none that can be read. */
async function readJson(context: ServerContext): Promise<unknown> {
  try {
    return (await context.req.json()) as unknown;
  } catch {
    return undefined;
  }
}

/** null: there is none, or it is `*`; undefined: it names no revision. */
function readIfMatch(context: ServerContext): number | null | undefined {
  const header = context.req.header("if-match");
  if (header === undefined || header.trim() === "*") return null;
  const text = /^"(\d{1,15})"$/.exec(header.trim())?.[1];
  return text === undefined ? undefined : Number(text);
}

function toBodyProblem(issues: readonly v.BaseIssue<unknown>[]): Problem {
  const errors = issues.map((issue) => ({ path: v.getDotPath(issue) ?? "", message: issue.message }));
  return { status: 422, detail: "The body has faults", errors };
}

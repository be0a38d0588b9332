// `/subscriptions`, below `/api` and below the context path of each entrypoint: lists, creates, replaces and deletes subscriptions.

import { Hono } from "hono";
import {
  subscriptionBodyOfEntrypointSchema,
  subscriptionBodySchema,
  subscriptionDetailSchema,
} from "#wire/definition.ts";
import { PAGE_PARAMETERS } from "#wire/query.ts";
import { subscriptionPageSchema, subscriptionViewSchema } from "#wire/subscription.ts";
import { NOT_JSON, readJson } from "./body.ts";
import type { ServerContext, ServerEnv } from "./caller.ts";
import { describe, empty, json, type Operation } from "./operation.ts";
import { pageOf } from "./page.ts";
import type { Problem } from "./problem.ts";
import type { WantedRevisions, WriteOutcome } from "#registry/api-subscriptions.ts";
import { addDraftTest } from "./draft.ts";
import { addResend } from "./resend.ts";
import { addParkedKeys } from "./parked-keys.ts";
import { addSubscriptionCommands } from "./subscription-commands.ts";
import { createReach, NOT_FOUND, type SubscriptionsOptions } from "./subscription-reach.ts";

const ONE = { id: "Id of the subscription" };
const IF_MATCH = {
  "If-Match": "The `ETag` that the subscription must still have; without it, whichever it has",
};
const BODY = {
  schema: subscriptionBodySchema,
  ofEntrypoint: subscriptionBodyOfEntrypointSchema,
  isRequired: true,
  description: "The definition of the subscription, as it would stand in the config file",
};
const LIST: Operation = {
  id: "listSubscriptions",
  tag: "Subscriptions",
  summary: "Lists subscriptions in the order of their ids",
  description: "Of the config file and made by API. Tokens that may only subscribe see their own.",
  access: "read",
  query: PAGE_PARAMETERS,
  answers: [json(subscriptionPageSchema, "A page of subscriptions")],
  problems: [400],
};
const CREATE: Operation = {
  id: "createSubscription",
  tag: "Subscriptions",
  summary: "Creates a subscription, which all relays of the cluster run",
  description:
    "All faults of the body are reported at once. Secrets in it are sealed before they are stored.",
  access: "write",
  body: BODY,
  answers: [
    json(subscriptionViewSchema, "The new subscription", { status: 201, headers: ["ETag", "Location"] }),
  ],
  problems: [400, 409, 422, 503],
};
const SHOW: Operation = {
  id: "getSubscription",
  tag: "Subscriptions",
  summary: "Shows one subscription and its definition",
  description: "Secrets in the definition are masked.",
  access: "read",
  params: ONE,
  answers: [json(subscriptionDetailSchema, "The subscription", { headers: ["ETag"] })],
  problems: [404],
};
const REPLACE: Operation = {
  id: "replaceSubscription",
  tag: "Subscriptions",
  summary: "Replaces a subscription that was made by API",
  description:
    "The body replaces the whole definition, secrets included. Subscriptions of the file are edited there.",
  access: "write",
  params: ONE,
  headers: IF_MATCH,
  body: BODY,
  answers: [json(subscriptionViewSchema, "The new definition is stored", { headers: ["ETag"] })],
  problems: [400, 404, 409, 412, 422, 503],
};
const DELETE: Operation = {
  id: "deleteSubscription",
  tag: "Subscriptions",
  summary: "Deletes a subscription that was made by API",
  description: "Its consumer and its state are deleted with it. Its dead letters stay.",
  access: "write",
  params: ONE,
  headers: IF_MATCH,
  answers: [empty("The subscription is deleted")],
  problems: [404, 409, 412, 503],
};

export function createSubscriptions(options: SubscriptionsOptions): Hono<ServerEnv> {
  const { registry } = options;
  const reach = createReach(options);
  const { find, view, refuse } = reach;
  const routes = new Hono<ServerEnv>();

  function answer(context: ServerContext, outcome: WriteOutcome): Response {
    if (outcome.kind !== "written") return refuse(toProblem(outcome, context));
    const { id, revision, isNew } = outcome;
    const found = registry().find(id);
    context.header("etag", `"${revision}"`);
    if (isNew) context.header("location", `${context.req.path.replace(/\/$/u, "")}/${id}`);
    // Another relay may have deleted it already.
    if (found === null) return refuse({ status: 409, detail: "It was written, but is no more" });
    return context.json(view(context, found), isNew ? 201 : 200);
  }

  /** Null: there is nothing that this caller may write. */
  function readCondition(context: ServerContext): { readonly revisions: WantedRevisions } | null {
    const found = find(context);
    if (found === null && !reach.isEverything(context)) return null;
    const wanted = readIfMatch(context);
    // Writes only the revision that was checked: it may belong to somebody else by now.
    const looked = found === null || found.revision === null ? null : [found.revision];
    return { revisions: wanted ?? looked };
  }

  routes.get("/", describe(LIST), (context) => {
    const page = pageOf(reach.list(context), {
      keyOf: ({ subscription }) => subscription.id,
      query: context.req.query(),
    });
    if (page.kind === "invalid") return refuse({ status: 400, detail: page.detail });
    return context.json({ items: page.items.map((one) => view(context, one)), next: page.next });
  });

  routes.post("/", describe(CREATE), async (context) => {
    const body = await readJson(context);
    if (body === undefined) return refuse(NOT_JSON);
    return answer(context, await registry().create(body, reach.writeOptions(context)));
  });

  routes.get("/:id", describe(SHOW), (context) => {
    const found = find(context);
    if (found === null) return refuse(NOT_FOUND);
    if (found.revision !== null) context.header("etag", `"${found.revision}"`);
    return context.json({ ...view(context, found), definition: found.definition() });
  });

  routes.put("/:id", describe(REPLACE), async (context) => {
    const body = await readJson(context);
    if (body === undefined) return refuse(NOT_JSON);
    const condition = readCondition(context);
    if (condition === null) return refuse(NOT_FOUND);
    const write = { ...reach.writeOptions(context), ...condition };
    return answer(context, await registry().replace(context.req.param("id"), body, write));
  });

  routes.delete("/:id", describe(DELETE), async (context) => {
    const condition = readCondition(context);
    if (condition === null) return refuse(NOT_FOUND);
    const { signal } = reach.writeOptions(context);
    const outcome = await registry().remove(context.req.param("id"), { ...condition, signal });
    return outcome.kind === "written" ? context.body(null, 204) : refuse(toProblem(outcome, context));
  });

  addDraftTest(routes, { ...options, reach });
  addSubscriptionCommands(routes, { ...options, reach });
  addResend(routes, { ...options, reach });
  addParkedKeys(routes, { registry, reach });
  return routes;
}

function toProblem(outcome: Exclude<WriteOutcome, { kind: "written" }>, context: ServerContext): Problem {
  switch (outcome.kind) {
    case "invalid":
      return { status: 422, detail: "The subscription has faults", errors: outcome.faults };
    case "forbidden":
      return { status: 403, detail: `It cannot be written so: ${outcome.reason}` };
    case "read-only":
      return { status: 409, detail: "It is defined in the config file: change it there" };
    case "missing":
      return NOT_FOUND;
    case "taken":
      return { status: 409, detail: outcome.reason };
    case "conflict": {
      const { revision } = outcome;
      const detail =
        revision === null ? "It was changed or deleted meanwhile" : `Its revision is ${revision}`;
      return { status: context.req.header("if-match") === undefined ? 409 : 412, detail };
    }
    case "refused":
      return { status: 422, detail: `It cannot be kept: ${outcome.reason}` };
    case "unavailable":
      return { status: 503, detail: `It cannot be kept now: ${outcome.reason}` };
  }
}

/** RFC 9110, section 13.1.1. A tag that is not a revision matches nothing. */
function readIfMatch(context: ServerContext): WantedRevisions {
  const header = context.req.header("if-match")?.trim();
  if (header === undefined || header === "*") return null;
  return header.split(",").flatMap((tag) => {
    const revision = /^"(\d{1,15})"$/u.exec(tag.trim())?.[1];
    return revision === undefined ? [] : [Number(revision)];
  });
}

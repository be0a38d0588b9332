// `/subscriptions/{id}/parked`: lists the parked keys of an ordered subscription, and resumes one.

import type { Hono } from "hono";
import type * as v from "valibot";
import type { ParkedKey } from "#pipeline/lanes.ts";
import {
  type ParkedKeyView,
  parkedPageSchema,
  parkedResumedSchema,
  parkedResumeSchema,
} from "#wire/parked.ts";
import { PAGE_PARAMETERS } from "#wire/query.ts";
import type { ServerContext, ServerEnv } from "./caller.ts";
import { describe, json, type Operation } from "./operation.ts";
import { pageOf } from "./page.ts";
import { NOT_FOUND, type Reach, type SubscriptionsOptions } from "./subscription-reach.ts";

interface ParkedOptions extends Pick<SubscriptionsOptions, "registry"> {
  readonly reach: Reach;
}

const ONE = { id: "Id of the subscription" };
const LIST: Operation = {
  id: "listParkedKeys",
  tag: "Subscriptions",
  summary: "Lists the parked keys of an ordered subscription",
  description:
    'With `ordering.onFailure` "key" a failure stops only the messages of its key. A relay that stands by lists those of the active one, as they were some seconds ago.',
  access: "read",
  params: ONE,
  query: PAGE_PARAMETERS,
  answers: [json(parkedPageSchema, "A page of parked keys, in their order")],
  problems: [400, 404],
};
const RESUME: Operation = {
  id: "resumeParkedKey",
  tag: "Subscriptions",
  summary: "Resumes a parked key, as the operator of its subscription",
  description:
    "Its first message is sent now, whatever `resume` says. With `skip` that message is acknowledged instead, and the next one is sent.",
  access: "operator",
  params: ONE,
  body: { schema: parkedResumeSchema, isRequired: true, description: "Which key" },
  answers: [
    json(parkedResumedSchema, "The key is resumed"),
    json(parkedResumedSchema, "Another relay delivers the subscription, and was asked to", { status: 202 }),
  ],
  problems: [400, 404, 409, 422, 503],
};

export function addParkedKeys(
  routes: Hono<ServerEnv>,
  { registry, reach: { find, refuse, answerBody } }: ParkedOptions,
): void {
  routes.get("/:id/parked", describe(LIST), (context) => {
    const found = find(context);
    if (found === null) return refuse(NOT_FOUND);
    const keys = registry().parked(found.subscription.id);
    const page = pageOf(keys, { keyOf: ({ key }) => key, query: context.req.query() });
    if (page.kind === "invalid") return refuse({ status: 400, detail: page.detail });
    return context.json({ items: page.items.map(toView), next: page.next });
  });

  async function resume(
    context: ServerContext,
    id: string,
    { key, skip }: v.InferOutput<typeof parkedResumeSchema>,
  ): Promise<Response> {
    const outcome = await registry().resumeParked(id, { key, skip });
    switch (outcome.kind) {
      case "resumed":
      case "asked": {
        const { sequence, host, kind } = outcome;
        return context.json({ key, sequence, skip, host }, kind === "asked" ? 202 : 200);
      }
      case "not-parked":
        return refuse({ status: 404, detail: "No such key is parked" });
      case "in-flight":
        return refuse({ status: 409, detail: "The first message of the key is being sent: ask again" });
      case "unavailable":
        return refuse({ status: 503, detail: `The active relay cannot be asked: ${outcome.reason}` });
    }
  }

  routes.post("/:id/parked/resume", describe(RESUME), (context) =>
    answerBody(context, { schema: parkedResumeSchema, isForOperators: true }, (found, body) =>
      resume(context, found.subscription.id, body),
    ),
  );
}

function toView({ key, since, cause, sequence, messages, nextTryAt }: ParkedKey): ParkedKeyView {
  return {
    key,
    since: since.toISOString(),
    failureCause: cause,
    sequence,
    messages,
    nextTryAt: nextTryAt?.toISOString() ?? null,
  };
}

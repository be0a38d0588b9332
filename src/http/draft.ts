// `/subscriptions/test`: tests a subscription before it is stored, by the rules of stored ones.

import type { Hono } from "hono";
import * as v from "valibot";
import { draftTestSchema } from "#wire/draft.ts";
import { testAnswerSchema } from "#wire/dry-run.ts";
import { BODY_FAULTS, NOT_JSON, readJson } from "./body.ts";
import type { ServerEnv } from "./caller.ts";
import { toDryRunView, toSample } from "./dry-run.ts";
import { toExchangeView } from "./exchange-view.ts";
import { limitOf, maySeeAnswers } from "./limit.ts";
import { describe, json, type Operation } from "./operation.ts";
import { toFaultsProblem } from "./problem.ts";
import { MAX_TEST_BYTES, TEST_TOO_LARGE, TOO_MANY_TESTS } from "./subscription-commands.ts";
import type { Reach, SubscriptionsOptions } from "./subscription-reach.ts";

interface DraftOptions extends Pick<SubscriptionsOptions, "registry" | "slots" | "entrypoint"> {
  readonly reach: Reach;
}

const TEST_DRAFT: Operation = {
  id: "testDraft",
  tag: "Subscriptions",
  summary: "Tests a subscription that is not stored",
  description:
    "Checks the definition as a POST of it does, stores nothing, and sends a test message to its callback; with `dryRun` it only shows the request. Rules, secrets and the addresses that may be called are those of a stored subscription.",
  access: "write",
  body: { schema: draftTestSchema, isRequired: true, description: "The definition, and the message" },
  answers: [json(testAnswerSchema, "The request and the response, or the dry run")],
  problems: [400, 413, 422, 429],
};

export function addDraftTest(
  routes: Hono<ServerEnv>,
  { registry, slots, entrypoint, reach: { refuse, writeOptions } }: DraftOptions,
): void {
  routes.post("/test", describe(TEST_DRAFT), async (context) => {
    const body = await readJson(context);
    if (body === undefined) return refuse(NOT_JSON);
    const parsed = v.safeParse(draftTestSchema, body);
    if (!parsed.success) return refuse(toFaultsProblem(422, parsed.issues, BODY_FAULTS));
    const { subscription: definition, dryRun, ...asked } = parsed.output;
    if (Buffer.byteLength(asked.body ?? "") > MAX_TEST_BYTES) return refuse(TEST_TOO_LARGE);
    if (!slots.tests.take(context.get("tenant"), context.env.over)) return refuse(TOO_MANY_TESTS);
    const draft = await registry().draft(definition, {
      ...writeOptions(context),
      signal: context.req.raw.signal,
    });
    if (draft.kind === "invalid") {
      const errors = draft.faults.map(({ path, message }) => ({
        path: path === "" ? "subscription" : `subscription.${path}`,
        message,
      }));
      return refuse({ status: 422, detail: "The subscription has faults", errors });
    }
    await using open = draft;
    const message = toSample(open.subscription.source, asked);
    if (dryRun) return context.json(toDryRunView(message, await open.dryRun(message)));
    const isAnswerShown = maySeeAnswers(limitOf(context, entrypoint), open.subscription);
    return context.json(toExchangeView(await open.test(message), { isAnswerShown }));
  });
}

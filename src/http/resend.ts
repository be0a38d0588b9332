// `/subscriptions/{id}/resend`: sends messages of the stream to a subscription once more, beside its position.

import type { Hono } from "hono";
import * as v from "valibot";
import { parseWebhookId } from "#delivery/message.ts";
import { NO_FILTER, REPLAY_ALL, type Resend } from "#delivery/replay.ts";
import type { Replays } from "#replays/replays.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import { resendRequestSchema, startedReplaySchema } from "#wire/replay.ts";
import { NOT_JSON, readJson } from "./body.ts";
import type { ServerEnv } from "./caller.ts";
import { limitOf } from "./limit.ts";
import { describe, json, type Operation } from "./operation.ts";
import { toFaultsProblem } from "./problem.ts";
import { startReplay } from "./replays.ts";
import { NOT_FOUND, type Reach } from "./subscription-reach.ts";

interface ResendOptions {
  readonly reach: Reach;
  readonly replays: () => Replays;
  readonly findSubscription: (id: string) => RunningSubscription | null;
  readonly entrypoint: string | null;
}

const RESEND: Operation = {
  id: "resendMessages",
  tag: "Subscriptions",
  summary: "Sends messages of the stream to the callback once more",
  description:
    "As a replay, beside the live position, which stays, as does the state. Messages that the stream does not have any more are counted, and so is everything by `dryRun`.",
  access: "write",
  params: { id: "Id of the subscription" },
  body: { schema: resendRequestSchema, isRequired: true, description: "Which messages, and how fast" },
  answers: [json(startedReplaySchema, "The replay starts soon", { status: 202, headers: ["Location"] })],
  problems: [400, 404, 409, 422, 503],
};

export function addResend(routes: Hono<ServerEnv>, options: ResendOptions): void {
  const { reach, replays, findSubscription, entrypoint } = options;

  routes.post("/:id/resend", describe(RESEND), async (context) => {
    const body = await readJson(context);
    if (body === undefined) return reach.refuse(NOT_JSON);
    const found = reach.find(context);
    if (found === null) return reach.refuse(NOT_FOUND);
    const parsed = v.safeParse(resendRequestSchema, body);
    if (!parsed.success) return reach.refuse(toFaultsProblem(422, parsed.issues, "The body has faults"));
    const { id, source } = found.subscription;
    const { rate = null, concurrency = null, dryRun, webhookId } = parsed.output;
    if (webhookId !== undefined && parseWebhookId(webhookId)?.stream !== source.stream) {
      const message = `allowed: the webhook-id of a message of the stream ${source.stream}`;
      return reach.refuse({
        status: 422,
        detail: "The body has faults",
        errors: [{ path: "webhookId", message }],
      });
    }
    return startReplay(context, {
      replays: replays(),
      request: {
        ...REPLAY_ALL,
        filter: { ...NO_FILTER, subscription: [id] },
        resend: toResend(id, parsed.output),
        rate,
        concurrency,
        dryRun,
      },
      limit: limitOf(context, entrypoint),
      target: findSubscription(id),
      path: context.req.path.replace(/\/subscriptions\/[^/]+\/resend\/?$/u, "/replays"),
    });
  });
}

function toResend(subscription: string, given: v.InferOutput<typeof resendRequestSchema>): Resend {
  const { sequence, webhookId, sequences, times } = given;
  if (times !== undefined) return { subscription, kind: "times", from: times.from, to: times.to ?? null };
  if (sequences !== undefined) {
    const { from, to = null } = sequences;
    return { subscription, kind: "sequences", from, to, timeToken: null };
  }
  const name = webhookId === undefined ? null : parseWebhookId(webhookId);
  const only = name?.sequence ?? sequence ?? 0;
  return { subscription, kind: "sequences", from: only, to: only, timeToken: name?.timeToken ?? null };
}

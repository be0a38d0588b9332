// `/subscriptions/{id}/resend`: sends messages of the stream to a subscription once more, beside its position.

import type { Hono } from "hono";
import type * as v from "valibot";
import { parseWebhookId } from "#delivery/message.ts";
import { NO_FILTER, REPLAY_ALL, type Resend } from "#delivery/replay.ts";
import type { Subscription } from "#delivery/subscription.ts";
import type { Replays } from "#replays/replays.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import { resendRequestSchema, startedReplaySchema } from "#wire/replay.ts";
import { BODY_FAULTS } from "./body.ts";
import type { ServerContext, ServerEnv } from "./caller.ts";
import { limitOf } from "./limit.ts";
import { describe, json, type Operation } from "./operation.ts";
import { startReplay } from "./replays.ts";
import type { Reach } from "./subscription-reach.ts";

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

  function start(
    context: ServerContext,
    { id, source }: Subscription,
    asked: v.InferOutput<typeof resendRequestSchema>,
  ): Response | Promise<Response> {
    const { rate = null, concurrency = null, dryRun, webhookId } = asked;
    if (webhookId !== undefined && parseWebhookId(webhookId)?.stream !== source.stream) {
      const message = `allowed: the webhook-id of a message of the stream ${source.stream}`;
      return reach.refuse({ status: 422, detail: BODY_FAULTS, errors: [{ path: "webhookId", message }] });
    }
    return startReplay(context, {
      replays: replays(),
      request: {
        ...REPLAY_ALL,
        filter: { ...NO_FILTER, subscription: [id] },
        resend: toResend(id, asked),
        rate,
        concurrency,
        dryRun,
      },
      limit: limitOf(context, entrypoint),
      target: findSubscription(id),
      path: context.req.path.replace(/\/subscriptions\/[^/]+\/resend\/?$/u, "/replays"),
    });
  }

  routes.post("/:id/resend", describe(RESEND), (context) =>
    reach.answerBody(context, { schema: resendRequestSchema }, (found, asked) =>
      start(context, found.subscription, asked),
    ),
  );
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

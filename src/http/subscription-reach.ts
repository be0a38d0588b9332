// Limits a request to the subscriptions that it may see: by the entrypoint of its route and the application of its caller.

import * as v from "valibot";
import { withoutExcerpt } from "#delivery/outcome.ts";
import type { SeekPreview } from "#consumer/seek-preview.ts";
import type { DeliverPolicy, Subscription } from "#delivery/subscription.ts";
import type { Message } from "#delivery/message.ts";
import type { SubscriptionView } from "#wire/subscription.ts";
import { BODY_FAULTS, NOT_JSON, readJson, readOptionalJson } from "./body.ts";
import type { ServerContext } from "./caller.ts";
import { isWithinLimit, limitOf, maySeeAnswers } from "./limit.ts";
import type { Activity } from "./activity.ts";
import { type Problem, toFaultsProblem, toProblemResponse } from "./problem.ts";
import type { Replays } from "#replays/replays.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import type { ServerSlots } from "./slots.ts";
import type { WriteOptions } from "#registry/body.ts";
import type { Registered, Registry } from "#registry/registry.ts";
import { RECENT_MINUTES, type SubscriptionLag, toSubscriptionView } from "./subscription-view.ts";

export interface SubscriptionsOptions {
  readonly registry: () => Registry;
  readonly lagOf: (id: string) => SubscriptionLag | null;
  readonly activity: Pick<Activity, "recent">;
  /** Where its stream ends; 0: it never had a message. Rejects with a RelayError. */
  readonly lastSequenceOf: (subscription: Subscription) => Promise<number>;
  /** Rejects with a RelayError. */
  readonly previewSeek: (subscription: Subscription, start: DeliverPolicy) => Promise<SeekPreview>;
  /** A message of its stream; null: there is none. Rejects with a RelayError. */
  readonly messageAt: (subscription: Subscription, sequence: number) => Promise<Message | null>;
  readonly slots: Pick<ServerSlots, "tests">;
  readonly replays: () => Replays;
  readonly findSubscription: (id: string) => RunningSubscription | null;
  /** Null: those of all entrypoints. */
  readonly entrypoint: string | null;
}

export interface Reach {
  readonly list: (context: ServerContext) => readonly Registered[];
  /** The one that the address names; null: to this caller there is none. */
  readonly find: (context: ServerContext) => Registered | null;
  /** True: the caller sees everything, also subscriptions that cannot run here. */
  readonly isEverything: (context: ServerContext) => boolean;
  readonly view: (context: ServerContext, registered: Registered) => SubscriptionView;
  readonly refuse: (problem: Problem) => Response;
  /** Answers what a body asks of the subscription that the address names, or refuses it. */
  readonly answerBody: <S extends v.GenericSchema>(
    context: ServerContext,
    asked: AskedBody<S>,
    answer: (found: Registered, body: v.InferOutput<S>) => Response | Promise<Response>,
  ) => Promise<Response>;
  readonly writeOptions: (context: ServerContext) => WriteOptions;
}

interface AskedBody<S> {
  readonly schema: S;
  readonly mayBeEmpty?: boolean;
  readonly isForOperators?: boolean;
}

export const NOT_FOUND: Problem = { status: 404, detail: "There is no such subscription" };

export const NOT_OPERATOR: Problem = {
  status: 403,
  detail: "Pause and resume are for operators: stop and start are yours",
  headers: {
    "www-authenticate": 'Bearer realm="relay", error="insufficient_scope", scope="relay:write"',
  },
};

const WRITE_MS = 5000;

/** Pause and resume are for operators, stop and start for consumers. */
export function isOperator(context: ServerContext): boolean {
  return context.get("access").kind === "all";
}

export function createReach({ registry, lagOf, activity, entrypoint }: SubscriptionsOptions): Reach {
  function isInReach(context: ServerContext, { subscription }: Registered): boolean {
    return isWithinLimit(limitOf(context, entrypoint), subscription);
  }

  function find(context: ServerContext): Registered | null {
    const found = registry().find(context.req.param("id") ?? "");
    return found !== null && isInReach(context, found) ? found : null;
  }

  return {
    list: (context) =>
      registry()
        .list()
        .filter((registered) => isInReach(context, registered)),
    find,
    async answerBody(context, { schema, mayBeEmpty = false, isForOperators = false }, answer) {
      const body = await (mayBeEmpty ? readOptionalJson(context) : readJson(context));
      if (body === undefined) return toProblemResponse(NOT_JSON);
      const found = find(context);
      if (found === null) return toProblemResponse(NOT_FOUND);
      if (isForOperators && !isOperator(context)) return toProblemResponse(NOT_OPERATOR);
      const parsed = v.safeParse(schema, body);
      return parsed.success
        ? answer(found, parsed.output)
        : toProblemResponse(toFaultsProblem(422, parsed.issues, BODY_FAULTS));
    },
    isEverything: (context) => entrypoint === null && context.get("access").kind === "all",
    view(context, registered) {
      const mayShow = maySeeAnswers(limitOf(context, entrypoint), registered.subscription);
      const { id } = registered.subscription;
      const attempts = activity.recent(id, RECENT_MINUTES);
      return toSubscriptionView(mayShow ? registered : withoutAnswers(registered), {
        lag: lagOf(id),
        attempts,
        nowMs: performance.now(),
      });
    },
    refuse: toProblemResponse,
    writeOptions(context) {
      return {
        ...limitOf(context, entrypoint),
        signal: AbortSignal.any([context.req.raw.signal, AbortSignal.timeout(WRITE_MS)]),
      };
    },
  };
}

/** Without what the callback answered. */
function withoutAnswers(registered: Registered): Registered {
  const { running } = registered;
  const status = () => {
    const { failure, ...rest } = running.status();
    return { ...rest, failure: failure === null ? null : { ...failure, text: withoutExcerpt(failure.text) } };
  };
  return { ...registered, running: { ...running, status } };
}

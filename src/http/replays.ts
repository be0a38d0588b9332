// `/api/replays`: dead letters that are given to callbacks again, by a relay of the cluster: asked for, watched, paused, stopped.

import { Hono } from "hono";
import * as v from "valibot";
import type { ReplayCommand, ReplayRecord, ReplayRequest } from "#delivery/replay.ts";
import { isOrdered } from "#delivery/subscription.ts";
import type { RecordOutcome } from "#runtime/replay-records.ts";
import type { Replays } from "#runtime/replays.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import { replayRequestSchema, type StartedReplayView } from "#wire/replay.ts";
import type { ServerEnv } from "./caller.ts";
import { toFaults } from "./dead-letter-queries.ts";
import { pageOf } from "./page.ts";
import { type Problem, toProblemResponse } from "./problem.ts";
import { toReplayRequest, toReplayView } from "./replay-view.ts";
import { NOT_JSON, readJson, type ServerContext } from "./subscription-reach.ts";

export interface ReplayRoutesOptions {
  readonly replays: () => Replays;
  readonly findSubscription: (id: string) => RunningSubscription | null;
}

const COMMANDS: readonly ReplayCommand[] = ["pause", "resume", "stop"];
const WRITE_MS = 5000;
const NOT_FOUND: Problem = { status: 404, detail: "There is no such replay" };
const NOT_KNOWN: Problem = { status: 503, detail: "The replays of the cluster are not known yet" };
const TOO_MANY: Problem = {
  status: 409,
  detail: "Too many replays have not ended: wait for one, or stop one",
};

export function createReplayRoutes(options: ReplayRoutesOptions): Hono<ServerEnv> {
  const { replays, findSubscription } = options;
  const routes = new Hono<ServerEnv>();
  const refuse = (problem: Problem) => toProblemResponse(problem);

  routes.use(async (_context, next) => (replays().isKnown() ? next() : refuse(NOT_KNOWN)));

  routes.get("/", (context) => {
    const page = pageOf(replays().list(), {
      keyOf: newestFirst,
      query: context.req.query(),
    });
    if (page.kind === "invalid") return refuse({ status: 400, detail: page.detail });
    return context.json({
      items: page.items.map(toReplayView),
      next: page.next,
    });
  });

  routes.post("/", async (context) => {
    const body = await readJson(context);
    if (body === undefined) return refuse(NOT_JSON);
    const parsed = v.safeParse(replayRequestSchema, body);
    if (!parsed.success) return refuse({ status: 422, ...toFaults(parsed.issues) });
    const request = toReplayRequest(parsed.output);
    const to = request.to === null ? null : findSubscription(request.to);
    if (request.to !== null && to === null) return refuse({ status: 422, ...NO_TARGET });
    const outcome = await replays().create(request, signalOf(context));
    if (outcome.kind === "too-many") return refuse(TOO_MANY);
    if (outcome.kind !== "written") return refuse(toProblem(outcome));
    const { record } = outcome;
    const warnings = warningsOf(request, findSubscription(request.to ?? request.filter.subscription ?? ""));
    const answer: StartedReplayView = { ...toReplayView(record), warnings };
    return context.json(answer, 202, { location: `/api/replays/${record.id}` });
  });

  routes.get("/:id", (context) => {
    const record = replays().find(context.req.param("id"));
    return record === null ? refuse(NOT_FOUND) : context.json(toReplayView(record));
  });

  for (const command of COMMANDS) {
    routes.post(`/:id/${command}`, async (context) => {
      const outcome = await replays().command(context.req.param("id"), command, signalOf(context));
      return outcome.kind === "written"
        ? context.json(toReplayView(outcome.record))
        : refuse(toProblem(outcome));
    });
  }

  return routes;
}

const NO_TARGET = {
  detail: "The request has faults",
  errors: [{ path: "to", message: "there is no such subscription here" }],
};

/** A key that sorts as the records are listed. */
function newestFirst({ startedAt, id }: ReplayRecord): string {
  const left = Number.MAX_SAFE_INTEGER - Date.parse(startedAt);
  return `${left}-${id}`;
}

function signalOf(context: ServerContext): AbortSignal {
  return AbortSignal.any([context.req.raw.signal, AbortSignal.timeout(WRITE_MS)]);
}

function warningsOf({ dryRun }: ReplayRequest, target: RunningSubscription | null): string[] {
  if (dryRun) return [];
  const warnings = ["Replayed messages arrive out of order with live ones"];
  if (target === null) return warnings;
  const { id, qos } = target.subscription;
  if (isOrdered(qos)) warnings.push(`Subscription ${id} takes one at a time, in turn with live messages`);
  const { status, consumerStatus } = target.status();
  const rest = status === "ACCEPTED" ? consumerStatus : status;
  if (rest !== "STARTED") warnings.push(`Subscription ${id} is ${rest}: the replay waits until it runs`);
  return warnings;
}

function toProblem(outcome: Exclude<RecordOutcome, { kind: "written" }>): Problem {
  switch (outcome.kind) {
    case "missing":
      return NOT_FOUND;
    case "refused":
      return { status: 409, detail: "The replay has ended" };
    case "unavailable":
      return { status: 503, detail: outcome.reason };
  }
}

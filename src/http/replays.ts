// `/api/replays`: starts, lists, pauses, resumes and stops replays of dead letters.

import { Hono } from "hono";

import {
  REPLAY_ALL,
  type ReplayCommand,
  type ReplayFilter,
  type ReplayRecord,
  type ReplayRequest,
  type ReplayScope,
} from "#delivery/replay.ts";
import { onlySubscription } from "#delivery/letter.ts";
import { isOrdered } from "#delivery/subscription.ts";
import type { RecordOutcome } from "#replays/records.ts";
import type { Replays } from "#replays/replays.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import type { letterFilterSchema } from "#wire/dead-letter.ts";
import { PAGE_PARAMETERS } from "#wire/query.ts";
import {
  replayPageSchema,
  replayRequestSchema,
  replaySchema,
  startedReplaySchema,
  type StartedReplayView,
  type ReplayView,
} from "#wire/replay.ts";
import { NOT_JSON, readJson } from "./body.ts";
import type { ServerContext, ServerEnv } from "./caller.ts";
import { describe, json, type Operation } from "./operation.ts";
import { isWithinLimit, type Limit, limitOf } from "./limit.ts";
import { pageOf } from "./page.ts";
import { type Problem, toFaultsProblem, toProblemResponse } from "./problem.ts";
import * as v from "valibot";

export interface ReplayRoutesOptions {
  readonly replays: () => Replays;
  readonly findSubscription: (id: string) => RunningSubscription | null;
  /** Of the address; null: it stands below `/api`. */
  readonly entrypoint: string | null;
}

const WRITE_MS = 5000;
const NOT_FOUND: Problem = { status: 404, detail: "There is no such replay" };
const NOT_KNOWN: Problem = { status: 503, detail: "The replays of the cluster are not known yet" };
const TOO_MANY: Problem = {
  status: 409,
  detail: "Too many replays have not ended: wait for one, or stop one",
};

const LIST: Operation = {
  id: "listReplays",
  tag: "Replays",
  summary: "Lists the replays of the cluster, newest first",
  description: "Replays that run, and the newest that ended.",
  access: "read",
  query: PAGE_PARAMETERS,
  answers: [json(replayPageSchema, "A page of replays")],
  problems: [400, 503],
};
const START: Operation = {
  id: "startReplay",
  tag: "Replays",
  summary: "Sends dead letters to callbacks again",
  description:
    "One relay of the cluster does it, and goes on after a restart. A letter that is delivered is removed, one that fails again stays. Replayed messages arrive out of order with live ones.",
  access: "write",
  body: {
    schema: replayRequestSchema,
    isRequired: true,
    description: "Which letters, where to and how fast",
  },
  answers: [json(startedReplaySchema, "The replay starts soon", { status: 202, headers: ["Location"] })],
  problems: [400, 409, 422, 503],
};
const SHOW: Operation = {
  id: "getReplay",
  tag: "Replays",
  summary: "Shows the progress of a replay",
  description: "About a second old.",
  access: "read",
  params: { id: "Id of the replay" },
  answers: [json(replaySchema, "The replay")],
  problems: [404, 503],
};
/** Null: it has not been looked at yet, or it sends dead letters. */
function toSequences({ request: { resend }, places }: ReplayRecord): ReplayView["sequences"] {
  if (resend?.kind !== "sequences") return null;
  const to = resend.to ?? places?.[0]?.last ?? null;
  return to === null ? null : { from: resend.from, to };
}

const COMMANDS: Readonly<Record<ReplayCommand, Pick<Operation, "summary" | "description">>> = {
  pause: {
    summary: "Pauses a replay",
    description: "Requests in flight end first. A paused replay can be resumed.",
  },
  resume: { summary: "Resumes a paused replay", description: "It continues where it was." },
  stop: {
    summary: "Stops a replay for good",
    description: "Letters that it has not delivered stay. A stopped replay cannot be resumed.",
  },
};

function toCommandOperation(command: ReplayCommand): Operation {
  return {
    id: `${command}Replay`,
    tag: "Replays",
    ...COMMANDS[command],
    access: "write",
    params: { id: "Id of the replay" },
    answers: [json(replaySchema, "The replay, in its new state")],
    problems: [404, 409, 503],
  };
}

export function createReplayRoutes(options: ReplayRoutesOptions): Hono<ServerEnv> {
  const { replays } = options;
  const limitFor = (context: ServerContext) => limitOf(context, options.entrypoint);
  const routes = new Hono<ServerEnv>();
  const refuse = (problem: Problem) => toProblemResponse(problem);

  routes.use(async (_context, next) => (replays().isKnown() ? next() : refuse(NOT_KNOWN)));

  /** Null: to this caller there is none. */
  function find(context: ServerContext): ReplayRecord | null {
    const record = replays().find(context.req.param("id") ?? "");
    return record !== null && isVisible(record, limitFor(context)) ? record : null;
  }

  function findSubscription(id: string, context: ServerContext): RunningSubscription | null {
    const found = options.findSubscription(id);
    return found !== null && isWithinLimit(limitFor(context), found.subscription) ? found : null;
  }

  routes.get("/", describe(LIST), (context) => {
    const limit = limitFor(context);
    const visible = replays()
      .list()
      .filter((record) => isVisible(record, limit));
    const page = pageOf(visible, {
      keyOf: newestFirst,
      query: context.req.query(),
    });
    if (page.kind === "invalid") return refuse({ status: 400, detail: page.detail });
    return context.json({
      items: page.items.map((record) => toReplayView(record, limit)),
      next: page.next,
    });
  });

  routes.post("/", describe(START), async (context) => {
    const body = await readJson(context);
    if (body === undefined) return refuse(NOT_JSON);
    const parsed = v.safeParse(replayRequestSchema, body);
    if (!parsed.success) return refuse(toFaultsProblem(422, parsed.issues));
    const limit = limitFor(context);
    const request = toLimited(toReplayRequest(parsed.output), limit);
    const to = request.to === null ? null : findSubscription(request.to, context);
    if (request.to !== null && to === null) return refuse({ status: 422, ...NO_TARGET });
    const target = findSubscription(request.to ?? onlySubscription(request.filter) ?? "", context);
    const path = context.req.path.replace(/\/$/u, "");
    return startReplay(context, { replays: replays(), request, limit, target, path });
  });

  routes.get("/:id", describe(SHOW), (context) => {
    const record = find(context);
    return record === null ? refuse(NOT_FOUND) : context.json(toReplayView(record, limitFor(context)));
  });

  for (const command of ["pause", "resume", "stop"] as const) {
    routes.post(`/:id/${command}`, describe(toCommandOperation(command)), async (context) => {
      const record = find(context);
      if (record === null) return refuse(NOT_FOUND);
      const outcome = await replays().command(record.id, command, signalOf(context));
      return outcome.kind === "written"
        ? context.json(toReplayView(outcome.record, limitFor(context)))
        : refuse(toProblem(outcome));
    });
  }

  return routes;
}

interface StartOptions {
  readonly replays: Replays;
  readonly request: ReplayRequest;
  readonly limit: Limit;
  /** Null: each letter goes to its own subscription. */
  readonly target: RunningSubscription | null;
  /** Of the list of replays. */
  readonly path: string;
}

/** Answers with the new replay, or with a problem. */
export async function startReplay(
  context: ServerContext,
  { replays, request, limit, target, path }: StartOptions,
): Promise<Response> {
  if (!replays.isKnown()) return toProblemResponse(NOT_KNOWN);
  const outcome = await replays.create(request, { scope: toScope(limit), signal: signalOf(context) });
  if (outcome.kind === "too-many") return toProblemResponse(TOO_MANY);
  if (outcome.kind !== "written") return toProblemResponse(toProblem(outcome));
  const { record } = outcome;
  const answer: StartedReplayView = { ...toReplayView(record, limit), warnings: warningsOf(request, target) };
  return context.json(answer, 202, { location: `${path}/${record.id}` });
}

function toScope({ entrypoint, application }: Limit): ReplayScope | null {
  return entrypoint === null && application === null ? null : { entrypoint, application };
}

/** Below a context path: what was asked for there, by that application or for it. */
function isVisible({ scope }: ReplayRecord, { entrypoint, application }: Limit): boolean {
  if (entrypoint === null && application === null) return true;
  if (scope === null || scope.entrypoint !== entrypoint) return false;
  return application === null || scope.application === application;
}

/** Only letters within the limit: a filter by another entrypoint or application matches none. */
function toLimited(request: ReplayRequest, { entrypoint, application }: Limit): ReplayRequest {
  const { filter } = request;
  const only = (wanted: readonly string[], own: string | null) =>
    own === null ? wanted : [wanted.length === 0 || wanted.includes(own) ? own : NOBODY];
  return {
    ...request,
    filter: {
      ...filter,
      entrypoint: only(filter.entrypoint, entrypoint),
      application: only(filter.application, application),
    },
  };
}

/** No application and no entrypoint has this name. */
const NOBODY = "\0";

const NO_TARGET = {
  detail: "The request has faults",
  errors: [{ path: "to", message: "there is no such subscription here" }],
};

/** A sort key: newest first. */
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

function toReplayRequest(given: v.InferOutput<typeof replayRequestSchema>): ReplayRequest {
  const { to = null, rate = null, concurrency = null, max = null, force, dryRun } = given;
  const ids = given.ids === undefined ? null : [...new Set(given.ids)];
  return {
    ...REPLAY_ALL,
    filter: toReplayFilter(given.filter ?? {}),
    ids,
    to,
    rate,
    concurrency,
    max,
    force,
    dryRun,
  };
}

function toReplayFilter(given: v.InferOutput<typeof letterFilterSchema>): ReplayFilter {
  const { subscription = [], entrypoint = [], application = [], reason = [] } = given;
  const { status = [], from = null, to = null, error = [] } = given;
  return {
    subscription: [subscription].flat(),
    entrypoint: [entrypoint].flat(),
    application: [application].flat(),
    reason: [reason].flat(),
    status: [status].flat(),
    from,
    to,
    error: [error].flat(),
  };
}

function toReplayView(record: ReplayRecord, { application }: Limit): ReplayView {
  const { id: replayId, state, reason, maxReplays, request, startedAt, endedAt, owner, counts } = record;
  return {
    id: replayId,
    state,
    reason,
    isScheduled: maxReplays !== null,
    dryRun: request.dryRun,
    source: request.resend === null ? "dead-letters" : "stream",
    sequences: toSequences(record),
    times: request.resend?.kind === "times" ? { from: request.resend.from, to: request.resend.to } : null,
    subscription: onlySubscription(request.filter),
    ids: request.ids?.length ?? null,
    to: request.to,
    startedAt,
    endedAt,
    relay: application === null ? owner : null,
    ...counts,
  };
}

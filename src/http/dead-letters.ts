// `/api/dead-letters`: lists, counts, shows, downloads and purges dead letters.

import { Hono } from "hono";
import * as v from "valibot";
import { type LetterFilter, parseStatusFilter } from "#delivery/letter.ts";
import type { PurgeOutcome } from "#letters/purge.ts";
import type { FoundLetter } from "#letters/find.ts";
import type { Letters } from "#letters/letters.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import { choice } from "#schema/parts.ts";
import {
  deadLetterCountsSchema,
  deadLetterDetailSchema,
  type DeadLetterPage,
  deadLetterPageSchema,
  type letterFilterSchema,
  letterFiltersSchema,
  letterQuerySchema,
  PAYLOAD_ENCODINGS,
  type PurgeOutcomeView,
  purgeOutcomeSchema,
  purgeSchema,
} from "#wire/dead-letter.ts";
import { PAGE_PARAMETERS } from "#wire/query.ts";
import { NOT_JSON, readJson, readQuery } from "./body.ts";
import { describe, json, type Operation, raw } from "./operation.ts";
import type { ServerContext, ServerEnv } from "./caller.ts";
import { type CursorSeal, isWithinLimit, type Limit, limitOf, maySeeAnswers } from "./limit.ts";
import {
  type DeadLetterViewOptions,
  isPayloadEncoding,
  toDeadLetterCounts,
  toDeadLetterDetail,
  toDeadLetterView,
  toFaultLines,
} from "./dead-letter-view.ts";
import { type Problem, toFaultsProblem, toProblemResponse } from "./problem.ts";

export interface DeadLetterRoutesOptions {
  readonly letters: () => Letters;
  readonly findSubscription: (id: string) => RunningSubscription | null;
  readonly cursors: CursorSeal;
  /** Of the address; null: it stands below `/api`. */
  readonly entrypoint: string | null;
}

const BAD_CURSOR: Problem = { status: 400, detail: "cursor takes the next of the page before" };
const NOT_FOUND: Problem = { status: 404, detail: "There is no such dead letter" };

const LIST: Operation = {
  id: "listDeadLetters",
  tag: "Dead letters",
  summary: "Lists dead letters, newest first",
  description:
    "A page that took too long ends early and may be empty: `continuesAt` says how far back it looked, `next` goes on from there. `faults` names the streams that could not be read.",
  access: "read",
  query: { ...letterFiltersSchema.entries, ...PAGE_PARAMETERS },
  answers: [json(deadLetterPageSchema, "A page of dead letters")],
  problems: [400, 503],
};
const COUNT: Operation = {
  id: "countDeadLetters",
  tag: "Dead letters",
  summary: "Counts dead letters by reason and subscription",
  description: "The counts are a few seconds old at most. Of very many letters only the newest are counted.",
  access: "read",
  answers: [json(deadLetterCountsSchema, "The counts")],
  problems: [503],
};
const SHOW: Operation = {
  id: "getDeadLetter",
  tag: "Dead letters",
  summary: "Shows one dead letter with its headers and its payload",
  description: "Secrets of the subscription are masked, and a payload as text or hex is cut at 64 KiB.",
  access: "read",
  params: { id: "Id of the dead letter" },
  query: { payload: v.optional(choice("How the payload is shown", PAYLOAD_ENCODINGS), "text") },
  answers: [json(deadLetterDetailSchema, "The dead letter")],
  problems: [400, 404, 503],
};
const DOWNLOAD: Operation = {
  id: "getDeadLetterPayload",
  tag: "Dead letters",
  summary: "Downloads the payload of a dead letter",
  description: "The bytes of the message, unmasked and uncut.",
  access: "read",
  params: { id: "Id of the dead letter" },
  answers: [raw(["application/octet-stream"], "The payload")],
  problems: [404, 503],
};
const PURGE: Operation = {
  id: "purgeDeadLetters",
  tag: "Dead letters",
  summary: "Deletes dead letters, by id or by a filter that a dry run has counted",
  description:
    "By filter: call with `dryRun` first. Then call with its `start` as `cursor` and the number that it counted as `confirm`: letters that came later stay, and if more match, nothing is deleted. If `next` is not null, call again with it.",
  access: "write",
  body: { schema: purgeSchema, isRequired: true, description: "Which letters to delete" },
  answers: [json(purgeOutcomeSchema, "What this call deleted")],
  problems: [400, 409, 422, 503],
};

export function createDeadLetterRoutes(options: DeadLetterRoutesOptions): Hono<ServerEnv> {
  const { letters, findSubscription, cursors } = options;
  const limitFor = (context: ServerContext) => limitOf(context, options.entrypoint);
  const viewOf = (context: ServerContext) => toViewOptions(findSubscription, limitFor(context));
  const routes = new Hono<ServerEnv>();
  const refuse = (problem: Problem) => toProblemResponse(problem);

  /** What is not within the limit is not there. */
  async function find(context: ServerContext): Promise<FoundLetter | Problem> {
    const limit = limitFor(context);
    const found = await letters().find(context.req.param("id") ?? "", context.req.raw.signal);
    if (found.kind === "missing") return NOT_FOUND;
    if (found.kind === "unavailable")
      return { status: 503, detail: limit.application === null ? found.reason : UNREADABLE };
    const { entry } = found.letter;
    const isUnlimited = limit.entrypoint === null && limit.application === null;
    const isVisible = isUnlimited || (entry.kind === "letter" && isWithinLimit(limit, entry));
    return isVisible ? found.letter : NOT_FOUND;
  }

  routes.get("/", describe(LIST), async (context) => {
    const read = readQuery(context, letterQuerySchema);
    if (read.kind === "refused") return refuse(read.problem);
    const { limit, cursor: given = null, ...filter } = read.query;
    const within = limitFor(context);
    const { application } = within;
    const cursor = given === null || application === null ? given : cursors.open(given, application);
    if (given !== null && cursor === null) return refuse(BAD_CURSOR);
    const limited = toLimited(toLetterFilter(filter), within);
    if (limited === null) return context.json(NO_LETTERS);
    const { signal } = context.req.raw;
    const page = await letters().list({ filter: limited, limit, cursor, signal });
    if (page.kind === "bad-cursor") return refuse(BAD_CURSOR);
    const isLimited = application !== null;
    if (page.kind === "unavailable")
      return refuse({ status: 503, detail: isLimited ? UNREADABLE : page.reason });
    const shown = viewOf(context);
    const { next, entries, faults, continuesAt } = page;
    const answer: DeadLetterPage = {
      items: entries.map((entry) => toDeadLetterView(entry, shown)),
      next: next === null || application === null ? next : cursors.seal(next, application),
      // It may be the time of a letter of somebody else, and faults name streams.
      continuesAt: isLimited ? null : (continuesAt?.toISOString() ?? null),
      faults: isLimited && faults.length > 0 ? [UNREADABLE] : toFaultLines(faults),
    };
    return context.json(answer);
  });

  if (options.entrypoint === null) addOperatorRoutes(routes, letters);

  routes.get("/:id", describe(SHOW), async (context) => {
    const encoding = context.req.query("payload") ?? "text";
    if (!isPayloadEncoding(encoding)) {
      return refuse({ status: 400, detail: "payload takes text, hex or base64" });
    }
    const found = await find(context);
    if ("status" in found) return refuse(found);
    return context.json(toDeadLetterDetail(found, { ...viewOf(context), encoding }));
  });

  /** Sent as an attachment, so that no browser renders it as a page. */
  routes.get("/:id/payload", describe(DOWNLOAD), async (context) => {
    const id = context.req.param("id");
    const found = await find(context);
    if ("status" in found) return refuse(found);
    return context.body(new Uint8Array(found.body), 200, {
      "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename="${id.replaceAll(/[^\w.-]/gu, "_")}.bin"`,
      "x-content-type-options": "nosniff",
    });
  });

  return routes;
}

/** Below `/api` only: they are about all letters. */
function addOperatorRoutes(routes: Hono<ServerEnv>, letters: () => Letters): void {
  const refuse = (problem: Problem) => toProblemResponse(problem);

  routes.get("/counts", describe(COUNT), async (context) => {
    const counts = await letters().counts();
    if (counts.kind === "unavailable") return refuse({ status: 503, detail: counts.reason });
    return context.json(toDeadLetterCounts(counts));
  });

  routes.delete("/", describe(PURGE), async (context) => {
    const body = await readJson(context);
    if (body === undefined) return refuse(NOT_JSON);
    const parsed = v.safeParse(purgeSchema, body);
    if (!parsed.success) return refuse(toFaultsProblem(422, parsed.issues));
    const outcome = await purge(letters(), parsed.output, context.req.raw.signal);
    if (outcome.kind !== "done") return refuse(toPurgeProblem(outcome));
    const { matched, purged, start, next, obstacle } = outcome;
    if (obstacle !== null) {
      const detail = `Purged ${purged} of ${matched}, then: ${obstacle}`;
      return refuse({ status: 503, detail });
    }
    const answer: PurgeOutcomeView = { matched, purged, start, next };
    return context.json(answer);
  });
}

const UNREADABLE = "Some dead letters cannot be read now";
const NO_LETTERS: DeadLetterPage = { items: [], next: null, continuesAt: null, faults: [] };

/** Null: no letter is within the limit and meets the filter. */
function toLimited(filter: LetterFilter, { entrypoint, application }: Limit): LetterFilter | null {
  const isOut = (wanted: readonly string[], only: string | null) =>
    only !== null && wanted.length > 0 && !wanted.includes(only);
  if (isOut(filter.entrypoint, entrypoint) || isOut(filter.application, application)) return null;
  return {
    ...filter,
    entrypoint: entrypoint === null ? filter.entrypoint : [entrypoint],
    application: application === null ? filter.application : [application],
  };
}

/** A payload is a tenant's own: what is masked in it would only tell whether a secret was guessed. */
function toViewOptions(
  findSubscription: DeadLetterRoutesOptions["findSubscription"],
  limit: Limit,
): DeadLetterViewOptions {
  const find = (id: string) => findSubscription(id)?.subscription ?? null;
  return {
    secretsOf: (id) => (limit.application === null ? (find(id)?.callback.secrets ?? []) : []),
    showsExcerpt: (id) => maySeeAnswers(limit, find(id)),
    maxReplaysOf(id) {
      const replay = findSubscription(id)?.subscription.replay;
      return replay?.kind === "scheduled" ? replay.maxReplays : null;
    },
  };
}

function purge(
  letters: Letters,
  wanted: v.InferOutput<typeof purgeSchema>,
  signal: AbortSignal,
): Promise<PurgeOutcome> {
  if ("ids" in wanted) return letters.remove(wanted.ids, { isDryRun: wanted.dryRun, signal });
  return letters.purge({
    filter: toLetterFilter(wanted.filter),
    cursor: wanted.cursor ?? null,
    confirmed: "confirm" in wanted ? wanted.confirm : null,
    signal,
  });
}

function toPurgeProblem(outcome: Exclude<PurgeOutcome, { kind: "done" }>): Problem {
  switch (outcome.kind) {
    case "bad-cursor":
      return { status: 422, detail: "cursor takes the start or the next of an answer" };
    case "too-many":
      return {
        status: 409,
        detail: `${outcome.matched} letters match, more than were confirmed: nothing is purged`,
      };
    case "unavailable":
      return { status: 503, detail: outcome.reason };
  }
}

function toLetterFilter(given: v.InferOutput<typeof letterFilterSchema>): LetterFilter {
  const { subscription = [], entrypoint = [], application = [], reason = [] } = given;
  const { status = [], error = [], from, to } = given;
  return {
    subscription: [subscription].flat(),
    entrypoint: [entrypoint].flat(),
    application: [application].flat(),
    reason: [reason].flat(),
    error: [error].flat(),
    status: [status].flat().flatMap((text) => parseStatusFilter(text) ?? []),
    from: from === undefined ? null : new Date(from),
    to: to === undefined ? null : new Date(to),
  };
}

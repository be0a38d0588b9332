// Converts the body that starts a replay to a request, and the record of a replay to its view.

import type * as v from "valibot";
import type { ReplayFilter, ReplayRecord, ReplayRequest } from "#delivery/replay.ts";
import type { letterFilterSchema } from "#wire/dead-letter.ts";
import type { replayRequestSchema, ReplayView } from "#wire/replay.ts";

export function toReplayRequest(given: v.InferOutput<typeof replayRequestSchema>): ReplayRequest {
  const { to = null, rate = null, concurrency = null, max = null, force, dryRun } = given;
  const ids = given.ids === undefined ? null : [...new Set(given.ids)];
  return { filter: toReplayFilter(given.filter ?? {}), ids, to, rate, concurrency, max, force, dryRun };
}

function toReplayFilter(given: v.InferOutput<typeof letterFilterSchema>): ReplayFilter {
  const { subscription = null, entrypoint = null, application = null, reason = null } = given;
  const { status = null, from = null, to = null, error = null } = given;
  return { subscription, entrypoint, application, reason, status, from, to, error };
}

export function toReplayView(record: ReplayRecord): ReplayView {
  const { id: replayId, state, reason, maxReplays, request, startedAt, endedAt, owner, counts } = record;
  return {
    id: replayId,
    state,
    reason,
    isScheduled: maxReplays !== null,
    dryRun: request.dryRun,
    subscription: request.filter.subscription,
    ids: request.ids?.length ?? null,
    to: request.to,
    startedAt,
    endedAt,
    relay: owner,
    ...counts,
  };
}

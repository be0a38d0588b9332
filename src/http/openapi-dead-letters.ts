// The routes of dead letters and of their replays, as the document tells of them.

import { json, type Operation } from "./openapi-operations.ts";
import type { ParameterName } from "./openapi-parameters.ts";

const FILTERS: readonly ParameterName[] = [
  "LetterSubscription",
  "LetterEntrypoint",
  "LetterApplication",
  "LetterReason",
  "LetterStatus",
  "LetterFrom",
  "LetterTo",
  "LetterError",
];
const REPLAY: readonly ParameterName[] = ["ReplayId"];

export const DEAD_LETTER_OPERATIONS: readonly Operation[] = [
  {
    method: "get",
    path: "/api/dead-letters",
    id: "listDeadLetters",
    summary: "Dead letters, newest first; a page that looked for long is cut, and may be empty",
    access: "read",
    parameters: [...FILTERS, "Limit", "Cursor"],
    answers: [json("DeadLetterPage", "A page of them")],
    problems: [400, 503],
  },
  {
    method: "get",
    path: "/api/dead-letters/counts",
    id: "countDeadLetters",
    summary: "How many dead letters there are, by reason and subscription",
    access: "read",
    answers: [json("DeadLetterCounts", "As it was some seconds ago at most")],
    problems: [503],
  },
  {
    method: "get",
    path: "/api/dead-letters/{id}",
    id: "getDeadLetter",
    summary: "One dead letter, with its headers and its payload",
    access: "read",
    parameters: ["LetterId", "PayloadEncoding"],
    answers: [json("DeadLetterDetail", "All that is known of it")],
    problems: [400, 404, 503],
  },
  {
    method: "get",
    path: "/api/dead-letters/{id}/payload",
    id: "getDeadLetterPayload",
    summary: "The payload of a dead letter, as it is",
    access: "read",
    parameters: ["LetterId"],
    answers: [{ status: 200, description: "Its bytes", content: { type: "application/octet-stream" } }],
    problems: [404, 503],
  },
  {
    method: "delete",
    path: "/api/dead-letters",
    id: "purgeDeadLetters",
    summary: "Removes dead letters: named ones, or those that a dry run has counted",
    access: "write",
    body: { schema: "Purge", isRequired: true },
    answers: [json("PurgeOutcome", "What one call got done; `next` goes on")],
    problems: [400, 409, 422, 503],
  },
  {
    method: "get",
    path: "/api/replays",
    id: "listReplays",
    summary: "Replays of the cluster, newest first",
    access: "read",
    parameters: ["Limit", "Cursor"],
    answers: [json("ReplayPage", "Those under way, and the newest that ended")],
    problems: [400, 503],
  },
  {
    method: "post",
    path: "/api/replays",
    id: "startReplay",
    summary: "Gives dead letters to callbacks again, in one relay of the cluster",
    access: "write",
    body: { schema: "ReplayRequest", isRequired: true },
    answers: [{ ...json("StartedReplay", "It begins soon", 202), headers: ["Location"] }],
    problems: [400, 409, 422, 503],
  },
  {
    method: "get",
    path: "/api/replays/{id}",
    id: "getReplay",
    summary: "How far a replay is",
    access: "read",
    parameters: REPLAY,
    answers: [json("Replay", "As it was a second ago")],
    problems: [404, 503],
  },
  command("pause", "Pauses a replay: what is in flight ends"),
  command("resume", "Goes on with a replay that is paused"),
  command("stop", "Ends a replay for good; what was not delivered stays"),
];

function command(name: string, summary: string): Operation {
  return {
    method: "post",
    path: `/api/replays/{id}/${name}`,
    id: `${name}Replay`,
    summary,
    access: "write",
    parameters: REPLAY,
    answers: [json("Replay", "As it is to be")],
    problems: [404, 409, 503],
  };
}

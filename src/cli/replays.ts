// `relay dlq replays`: lists, shows, pauses, resumes and stops replays of dead letters.

import { RelayError } from "#lib/errors.ts";
import { clean, toSafeJson } from "#lib/printable.ts";
import { replaySchema, type ReplayView } from "#wire/replay.ts";
import { listAll, parseAnswer } from "./answers.ts";
import { expectDone } from "./client.ts";
import { toRelative } from "./relative-time.ts";
import { JSON_OPTION, type RemoteCall, type RemoteCommand } from "./remote-command.ts";
import { formatEnd, sumOf } from "./replay-progress.ts";
import { type Column, formatTable } from "./table.ts";
import { type Screen, type Style } from "./terminal.ts";

const VERBS = {
  pause: "pause a replay",
  resume: "resume a replay",
  stop: "stop a replay; letters that it has not delivered stay",
} as const;

export const REPLAY_COMMANDS: readonly RemoteCommand[] = [
  {
    usage: "list",
    description: "list the replays that run or ended recently",
    options: [JSON_OPTION],
    examples: ["relay dlq replays list"],
    note: null,
    check: () => undefined,
    run: list,
  },
  {
    usage: "show <id>",
    description: "show the progress of a replay",
    options: [JSON_OPTION],
    examples: ["relay dlq replays show 3f2a91c0"],
    note: null,
    check: (_flags, args) => void pathOf(args),
    run: (call) => ask(call, { method: "GET", verb: null }),
  },
  ...(["pause", "resume", "stop"] as const).map((verb): RemoteCommand => ({
    usage: `${verb} <id>`,
    description: VERBS[verb],
    options: [JSON_OPTION],
    examples: [`relay dlq replays ${verb} 3f2a91c0`],
    note: null,
    check: (_flags, args) => void pathOf(args),
    run: (call) => ask(call, { method: "POST", verb }),
  })),
];

async function list({ client, flags, io, screen, nowMs }: RemoteCall): Promise<number> {
  const replays = await listAll(client, { what: "replays", item: replaySchema });
  io.stdout(
    flags["json"] === true
      ? toSafeJson({ items: replays, next: null })
      : formatReplays(replays, { screen, nowMs }),
  );
  return 0;
}

async function ask(
  { client, args, flags, io }: RemoteCall,
  { method, verb }: { method: string; verb: string | null },
): Promise<number> {
  const path = pathOf(args);
  const answer = await client.ask(method, verb === null ? path : `${path}/${verb}`);
  const value = expectDone(answer, `${verb ?? "show"} replay ${clean(args[0] ?? "")}`);
  const replay = parseAnswer(replaySchema, value);
  io.stdout(flags["json"] === true ? toSafeJson(value) : formatEnd(replay));
  return 0;
}

function pathOf([id = ""]: readonly string[]): string {
  if (!/^[\w-]{1,128}$/u.test(id)) {
    throw new RelayError("usage", `No replay has the id "${clean(id)}": relay dlq replays list shows them`);
  }
  return `api/replays/${id}`;
}

function formatReplays(
  replays: readonly ReplayView[],
  { screen, nowMs }: { screen: Screen; nowMs: number },
): string {
  const columns: readonly Column<ReplayView>[] = [
    { title: "ID", textOf: ({ id }) => id, isWhole: true },
    { title: "STATE", textOf: ({ state }) => state, styleOf },
    { title: "STARTED", textOf: ({ startedAt }) => toRelative(startedAt, nowMs) },
    { title: "DELIVERED", textOf: ({ delivered }) => String(delivered), isNumber: true },
    { title: "FAILED", textOf: ({ failed }) => String(failed), isNumber: true },
    { title: "SKIPPED", textOf: (replay) => String(sumOf(replay)), isNumber: true },
    { title: "OF", textOf: describeChoice },
    { title: "WHY", textOf: ({ reason }) => reason ?? "" },
  ];
  if (replays.length === 0) return "There are no replays.\n";
  return formatTable(replays, { columns, screen });
}

function describeChoice({ isScheduled, dryRun, subscription, ids, to }: ReplayView): string {
  const what = ids === null ? (subscription ?? "any subscription") : `${ids} named`;
  const target = to === null ? "" : ` to ${to}`;
  return `${what}${target}${isScheduled ? ", scheduled" : ""}${dryRun ? ", dry run" : ""}`;
}

function styleOf({ state }: ReplayView): Style {
  if (state === "failed") return "red";
  if (state === "running") return "green";
  return state === "paused" ? "yellow" : "dim";
}

// `relay dlq replay`: starts a replay in the relay and shows its progress. Ctrl-C leaves it running.

import { RelayError } from "#lib/errors.ts";
import { sleep } from "#lib/sleep.ts";
import { clean, toSafeLine } from "#lib/printable.ts";
import { type ReplayBody, replaySchema, type ReplayView, startedReplaySchema } from "#wire/replay.ts";
import { parseAnswer } from "./answers.ts";
import { expectDone } from "./client.ts";
import { findLetters, type LetterChoice, toLetterChoice } from "./letter-purge.ts";
import { type Flags, type RemoteCall, type RemoteOption, textOf, wholeNumberOf } from "./remote-command.ts";
import { formatEnd, formatProgress, isIncomplete, isOver } from "./replay-progress.ts";

const POLL_MS = 500;
/** Clears what the bar left of its line. */
const CLEAR_LINE = "\r\u001b[K";
const SUBSCRIPTION_ID = /^[\w-]{1,128}$/u;

export const REPLAY_OPTIONS: readonly RemoteOption[] = [
  { flags: "--target <id>", description: "send all of them to this subscription, instead of their own" },
  { flags: "--rate <number>", description: "letters per second at most" },
  {
    flags: "--concurrency <number>",
    description: "letters at once, up to the connections of the subscription",
  },
  { flags: "--max <number>", description: "letters in all at most" },
  { flags: "--force", description: "also letters that an AT_MOST_ONCE callback may have received already" },
  { flags: "--dry-run", description: "count the letters, send nothing" },
  { flags: "--detach", description: "do not wait for the end" },
];

/** Throws a RelayError `usage`. */
export function checkReplay(flags: Flags, args: readonly string[]): void {
  toRequest(flags, toLetterChoice(flags, { args, nowMs: Date.now() }));
}

export async function replayLetters(call: RemoteCall): Promise<number> {
  const { client, args, flags, io, nowMs } = call;
  const choice = toLetterChoice(flags, { args, nowMs });
  const isDryRun = flags["dryRun"] === true;
  const isCounted = isWatched(call) && !isDryRun && flags["detach"] !== true;
  const total = isCounted ? (await findLetters(client, choice)).matched : 0;
  const body = toRequest(flags, choice);
  if (!isDryRun) io.stderr("Replayed messages arrive out of order with live ones.\n");
  const answer = await client.ask("POST", "api/replays", { body });
  const started = parseAnswer(startedReplaySchema, expectDone(answer, "replay"));
  for (const warning of started.warnings.slice(isDryRun ? 0 : 1)) io.stderr(`${clean(warning)}.\n`);
  const max = wholeNumberOf(flags, MAX) ?? total;
  return showStarted(call, started, Math.min(total, max));
}

function isWatched({ screen, flags }: RemoteCall): boolean {
  return screen.width !== null && flags["json"] !== true;
}

/** Follows a replay; with `--detach` only says that it runs. `total`: how many there are; null: not known. */
export async function showStarted(
  call: RemoteCall,
  started: ReplayView,
  total: number | null,
): Promise<number> {
  if (call.flags["detach"] !== true) return followReplay(call, started, total);
  const text = `Replay ${clean(started.id)} runs; ${hintOf(started)}\n`;
  call.io.stdout(isWatched(call) ? text : toSafeLine(started));
  return 0;
}

/** Shows the progress until the replay ends or the command is stopped. */
async function followReplay(call: RemoteCall, started: ReplayView, total: number | null): Promise<number> {
  const { client, io, screen, stopping } = call;
  const isLive = isWatched(call);
  const startedAt = performance.now();
  let replay: ReplayView = started;
  let shown = "";
  for (;;) {
    const line = isLive
      ? formatProgress(replay, { total, elapsedMs: performance.now() - startedAt, screen })
      : toSafeLine(replay);
    if (isLive && !replay.dryRun) io.stdout(`${CLEAR_LINE}${line}`);
    else if (!isLive && line !== shown) io.stdout(line);
    shown = line;
    if (isOver(replay)) break;
    if (!(await sleep(POLL_MS, stopping))) return detach(call, replay);
    const answer = await client
      .ask("GET", `api/replays/${encodeURIComponent(started.id)}`)
      .catch((error: unknown) => {
        if (stopping.aborted) return null;
        throw error;
      });
    if (answer === null) return detach(call, replay);
    replay = parseAnswer(
      replaySchema,
      expectDone(answer, `follow replay ${clean(started.id)}, which goes on`),
    );
  }
  if (isLive) io.stdout(`${replay.dryRun ? "" : CLEAR_LINE}${formatEnd(replay)}`);
  return isIncomplete(replay) && !replay.dryRun ? 1 : 0;
}

function detach({ io }: RemoteCall, replay: ReplayView): number {
  io.stderr(`\nReplay ${clean(replay.id)} goes on; ${hintOf(replay)}\n`);
  return 0;
}

function hintOf({ id }: ReplayView): string {
  return `relay dlq replays show ${clean(id)} shows it, relay dlq replays stop ${clean(id)} stops it`;
}

/** What `--rate` and `--concurrency` say. Throws a RelayError `usage`. */
export function toPace(flags: Flags): Pick<ReplayBody, "rate" | "concurrency"> {
  const rate = wholeNumberOf(flags, { name: "rate", min: 1, max: 10_000 });
  const concurrency = wholeNumberOf(flags, { name: "concurrency", min: 1, max: 20 });
  return { ...(rate === null ? {} : { rate }), ...(concurrency === null ? {} : { concurrency }) };
}

const MAX = { name: "max", min: 1, max: Number.MAX_SAFE_INTEGER };

function toRequest(flags: Flags, choice: LetterChoice): ReplayBody {
  const to = textOf(flags, "target");
  if (to !== null && !SUBSCRIPTION_ID.test(to)) {
    throw new RelayError("usage", "--target takes the id of a subscription: letters, digits, - and _ only");
  }
  const pace = toPace(flags);
  const max = wholeNumberOf(flags, MAX);
  return {
    ...(choice.kind === "ids" ? { ids: choice.ids } : { filter: choice.filter }),
    ...(to === null ? {} : { to }),
    ...pace,
    ...(max === null ? {} : { max }),
    force: flags["force"] === true,
    dryRun: flags["dryRun"] === true,
  };
}

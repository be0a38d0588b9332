// Formats the progress of a replay: a bar while it runs, a sentence at its end.

import { clean } from "#lib/printable.ts";
import type { ReplayView } from "#wire/replay.ts";
import { toSpan } from "./relative-time.ts";
import { cutTo, type Screen } from "./terminal.ts";

const BAR_WIDTH = 20;
const SKIPPED: Readonly<Record<keyof ReplayView["skipped"], string>> = {
  needsForce: "may have arrived already and need --force",
  exhausted: "were replayed as often as the schedule allows",
  noSubscription: "have no subscription here",
  foreign: "were not written by Relay",
  gone: "were not there (any more)",
  excluded: "are not taken by the subscription",
};

/** Whether something was meant and lies there still, or was named and is not there. */
export function isIncomplete({ state, failed, skipped, ids, sequences }: ReplayView): boolean {
  const { gone, ...stay } = skipped;
  const isNamed = ids !== null || (sequences !== null && sequences.from === sequences.to);
  if (isNamed && gone > 0) return true;
  return state !== "done" || failed > 0 || Object.values(stay).some((count) => count > 0);
}

export function isOver({ state }: ReplayView): boolean {
  return state !== "running" && state !== "paused";
}

/** One line that fits: `[=====>    ] 25/100  25 delivered, 0 failed, 0 skipped  12/s, 6 s left`. */
export function formatProgress(
  replay: ReplayView,
  { total, elapsedMs, screen }: { total: number | null; elapsedMs: number; screen: Screen },
): string {
  const { delivered, failed } = replay;
  const skipped = sumOf(replay);
  const all = delivered + failed + skipped;
  if (total === null) return cutTo(`${replay.state}: ${countsOf(replay)}`, (screen.width ?? Infinity) - 1);
  const done = Math.min(all, total);
  const filled = total === 0 ? 0 : Math.floor((done / total) * BAR_WIDTH);
  const bar = `${"=".repeat(filled)}${filled < BAR_WIDTH ? ">" : ""}`.padEnd(BAR_WIDTH);
  const perSecond = elapsedMs === 0 ? 0 : (done / elapsedMs) * 1000;
  const left = perSecond === 0 ? "" : `, ${toSpan(((total - done) / perSecond) * 1000)} left`;
  const speed = replay.state === "paused" ? "paused" : `${Math.round(perSecond)}/s${left}`;
  return cutTo(`[${bar}] ${done}/${total}  ${countsOf(replay)}  ${speed}`, (screen.width ?? Infinity) - 1);
}

function countsOf(replay: ReplayView): string {
  return `${replay.delivered} delivered, ${replay.failed} failed, ${sumOf(replay)} skipped`;
}

export function formatEnd(replay: ReplayView): string {
  const { id, state, reason, delivered, failed, skipped, dryRun, matching, source } = replay;
  const why = reason === null ? "" : `: ${reason}`;
  const isResend = source === "stream";
  const counts = dryRun
    ? `${matching} would be ${isResend ? "sent again" : "replayed"}`
    : `${delivered} delivered, ${failed} failed${isResend ? "" : " and stay"}`;
  const reasons = Object.entries(SKIPPED).flatMap(([name, text]) => {
    const count = skipped[name as keyof ReplayView["skipped"]];
    return count === 0 ? [] : [`  ${count} skipped: they ${text}`];
  });
  return [`Replay ${id} is ${state}${why}; ${counts}`, ...reasons].map((line) => `${clean(line)}\n`).join("");
}

export function sumOf({ skipped }: ReplayView): number {
  return Object.values(skipped).reduce((sum, count) => sum + count, 0);
}

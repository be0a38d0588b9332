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
};

/** Whether something was meant and lies there still, or was named and is not there. */
export function isIncomplete({ state, failed, skipped, ids }: ReplayView): boolean {
  const { gone, ...stay } = skipped;
  if (ids !== null && gone > 0) return true;
  return state !== "done" || failed > 0 || Object.values(stay).some((count) => count > 0);
}

export function isOver({ state }: ReplayView): boolean {
  return state !== "running" && state !== "paused";
}

/** One line that fits: `[=====>    ] 25/100  25 delivered, 0 failed, 0 skipped  12/s, 6 s left`. */
export function formatProgress(
  replay: ReplayView,
  { total, elapsedMs, screen }: { total: number; elapsedMs: number; screen: Screen },
): string {
  const { delivered, failed } = replay;
  const skipped = sumOf(replay);
  const done = Math.min(delivered + failed + skipped, total);
  const filled = total === 0 ? 0 : Math.floor((done / total) * BAR_WIDTH);
  const bar = `${"=".repeat(filled)}${filled < BAR_WIDTH ? ">" : ""}`.padEnd(BAR_WIDTH);
  const perSecond = elapsedMs === 0 ? 0 : (done / elapsedMs) * 1000;
  const left = perSecond === 0 ? "" : `, ${toSpan(((total - done) / perSecond) * 1000)} left`;
  const speed = replay.state === "paused" ? "paused" : `${Math.round(perSecond)}/s${left}`;
  const counts = `${delivered} delivered, ${failed} failed, ${skipped} skipped`;
  return cutTo(`[${bar}] ${done}/${total}  ${counts}  ${speed}`, (screen.width ?? Infinity) - 1);
}

export function formatEnd(replay: ReplayView): string {
  const { id, state, reason, delivered, failed, skipped, dryRun, matching } = replay;
  const why = reason === null ? "" : `: ${reason}`;
  const counts = dryRun
    ? `${matching} would be replayed`
    : `${delivered} delivered, ${failed} failed and stay`;
  const reasons = Object.entries(SKIPPED).flatMap(([name, text]) => {
    const count = skipped[name as keyof ReplayView["skipped"]];
    return count === 0 ? [] : [`  ${count} skipped: they ${text}`];
  });
  return [`Replay ${id} is ${state}${why}; ${counts}`, ...reasons].map((line) => `${clean(line)}\n`).join("");
}

export function sumOf({ skipped }: ReplayView): number {
  return Object.values(skipped).reduce((sum, count) => sum + count, 0);
}

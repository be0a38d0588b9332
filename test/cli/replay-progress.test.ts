// A replay in one line, and at its end.

import { describe, expect, test } from "bun:test";
import { formatEnd, formatProgress, isIncomplete } from "#cli/replay-progress.ts";
import type { ReplayView } from "#wire/replay.ts";

const NOTHING = { foreign: 0, exhausted: 0, needsForce: 0, noSubscription: 0, gone: 0, excluded: 0 };
const REPLAY: ReplayView = {
  id: "3f2a91c0",
  state: "running",
  reason: null,
  isScheduled: false,
  dryRun: false,
  source: "dead-letters",
  sequences: null,
  times: null,
  subscription: null,
  ids: null,
  to: null,
  startedAt: "2026-11-21T08:00:00.000Z",
  endedAt: null,
  relay: null,
  delivered: 0,
  failed: 0,
  matching: 0,
  skipped: NOTHING,
};
const progress = (replay: Partial<ReplayView>, width: number | null = null) =>
  formatProgress(
    { ...REPLAY, ...replay },
    { total: 100, elapsedMs: 10_000, screen: { width, isColoured: false } },
  );

describe("formatProgress()", () => {
  test("shows how far it is, how fast, and how long yet", () => {
    const skipped = { ...NOTHING, needsForce: 5 };
    expect(progress({ delivered: 40, failed: 5, skipped })).toBe(
      "[==========>         ] 50/100  40 delivered, 5 failed, 5 skipped  5/s, 10 s left",
    );
    expect(progress({ delivered: 100 })).toStartWith("[====================] 100/100 ");
    expect(progress({ delivered: 400 })).toStartWith("[====================] 100/100 ");
    expect(progress({ state: "paused" })).toEndWith(" skipped  paused");
  });

  test("fits a terminal, and leaves its last column free", () => {
    expect(Bun.stringWidth(progress({ delivered: 40 }, 40))).toBe(39);
  });
});

test("formatEnd() names why something was skipped, and quotes a reason without its control characters", () => {
  const skipped = { ...NOTHING, needsForce: 2, gone: 1 };
  expect(
    formatEnd({ ...REPLAY, state: "failed", reason: "no \u001b[2J", delivered: 3, failed: 10, skipped }),
  ).toBe(
    [
      "Replay 3f2a91c0 is failed: no \\u001b[2J; 3 delivered, 10 failed and stay",
      "  2 skipped: they may have arrived already and need --force",
      "  1 skipped: they were not there (any more)",
      "",
    ].join("\n"),
  );
});

test.each([
  [{ state: "done", delivered: 3 }, false],
  [{ state: "done", skipped: { ...NOTHING, gone: 2 } }, false],
  [{ state: "done", ids: 3, skipped: { ...NOTHING, gone: 2 } }, true],
  [{ state: "done", failed: 1 }, true],
  [{ state: "done", skipped: { ...NOTHING, foreign: 1 } }, true],
  [{ state: "stopped" }, true],
  [{ state: "failed" }, true],
] as const)("isIncomplete() of %j is %p", (replay, expected) => {
  expect(isIncomplete({ ...REPLAY, ...replay })).toBe(expected);
});

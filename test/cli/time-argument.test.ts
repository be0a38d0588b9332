// Moments as people type them.

import { describe, expect, test } from "bun:test";
import { timeArgument, timeRange } from "#cli/time-argument.ts";

const NOW = Date.parse("2026-11-21T12:00:00Z");
const read = (from: string) => timeArgument({ from }, { name: "from", nowMs: NOW });

test("timeRange() refuses an end before the beginning", () => {
  expect(timeRange({ from: "3d", to: "2d" }, NOW)).toEqual({
    from: "2026-11-18T12:00:00.000Z",
    to: "2026-11-19T12:00:00.000Z",
  });
  expect(timeRange({ to: "2d" }, NOW).from).toBeNull();
  expect(() => timeRange({ from: "2d", to: "3d" }, NOW)).toThrow("--to is before --from");
});

describe("timeArgument()", () => {
  test.each([
    ["2026-11-21T08:00:00Z", "2026-11-21T08:00:00.000Z"],
    ["2026-11-21T08:00:00.123456789+02:00", "2026-11-21T06:00:00.123Z"],
    ["2026-11-21T08:00Z", "2026-11-21T08:00:00.000Z"],
    ["2024-02-29", "2024-02-29T00:00:00.000Z"],
    ["90s", "2026-11-21T11:58:30.000Z"],
    ["15m", "2026-11-21T11:45:00.000Z"],
    ["15min", "2026-11-21T11:45:00.000Z"],
    ["2h", "2026-11-21T10:00:00.000Z"],
    ["3d", "2026-11-18T12:00:00.000Z"],
    ["1w", "2026-11-14T12:00:00.000Z"],
  ])("takes %s for %s", (text, moment) => expect(read(text)).toBe(moment));

  test.each([
    "",
    "now",
    "yesterday",
    "2h ago",
    "-2h",
    "2026-02-30",
    "2026-02-30T08:00:00Z",
    "2026-11-21T25:00:00Z",
  ])("refuses %p", (text) => expect(() => read(text)).toThrow("--from takes a time such as"));

  test("is null where nothing was given", () =>
    expect(timeArgument({}, { name: "from", nowMs: NOW })).toBeNull());
  test("quotes nothing that steers a terminal", () => expect(() => read("\u001b[2J")).toThrow("\\u001b[2J"));
});

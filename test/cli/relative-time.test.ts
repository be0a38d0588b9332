// Moments as people say them.

import { expect, test } from "bun:test";
import { toRelative } from "#cli/relative-time.ts";

const NOW_MS = Date.parse("2026-11-21T12:00:00Z");

test.each([
  ["2026-11-21T12:00:00.4Z", "just now"],
  ["2026-11-21T11:59:59Z", "1 s ago"],
  ["2026-11-21T11:58:30Z", "90 s ago"],
  ["2026-11-21T11:58:00Z", "2 min ago"],
  ["2026-11-21T10:30:00Z", "90 min ago"],
  ["2026-11-21T09:30:00Z", "2 h ago"],
  ["2026-11-20T11:00:00Z", "25 h ago"],
  ["2026-11-18T11:00:00Z", "3 d ago"],
  ["2026-11-21T12:00:30Z", "in 30 s"],
  ["2026-12-21T12:00:00Z", "in 30 d"],
  ["no date", "no date"],
])("toRelative(%p) is %p", (date, expected) => {
  expect(toRelative(date, NOW_MS)).toBe(expected);
});

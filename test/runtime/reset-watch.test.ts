// What a reset of a consumer looks like among the counts of its deliveries, and what only looks like it.

import { expect, test } from "bun:test";
import { createResetWatch } from "#runtime/reset-watch.ts";

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

test.each([
  ["that goes on", [...range(1, 20)], false],
  ["of which other relays had a part", [1, 5, 6, 30], false],
  ["that begins anew", [...range(1, 20), 1], true],
  ["that begins anew, its first messages sent to another relay", [...range(1, 20), 4], true],
  ["of a single one that comes again", [1, 1], true],
  [
    "that fell a little: a new leader did not know of the last ones",
    [...range(1, 20), ...range(15, 30)],
    false,
  ],
] as const)("isReset() of a count %s", (_what, counts, wanted) => {
  const watch = createResetWatch({ reconnects: () => 0 });
  watch.aligned("2026-01-01T00:00:00Z");
  const seen = counts.map((count) => watch.isReset(count));
  expect(seen.includes(true)).toBe(wanted);
  expect(seen.filter(Boolean).length).toBeLessThanOrEqual(1);
});

test("isReset() of a count that begins anew is false after a reconnect, and for another consumer", () => {
  let reconnects = 0;
  const watch = createResetWatch({ reconnects: () => reconnects });
  watch.aligned("a");
  for (const count of range(1, 20)) watch.isReset(count);
  reconnects += 1;
  expect(range(1, 30).map((count) => watch.isReset(count))).not.toContain(true);
  watch.aligned("b");
  expect(range(1, 5).map((count) => watch.isReset(count))).not.toContain(true);
});

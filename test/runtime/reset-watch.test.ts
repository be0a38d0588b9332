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
  const watch = createResetWatch({ reconnects: () => 0, writtenAfterMs: 0, now: () => 0 });
  watch.aligned("2026-01-01T00:00:00Z");
  const seen = counts.map((count) => watch.isReset(count));
  expect(seen.includes(true)).toBe(wanted);
  expect(seen.filter(Boolean).length).toBeLessThanOrEqual(1);
});

test("isReset() of a count that begins anew is false after a reconnect, and for another consumer", () => {
  let reconnects = 0;
  const watch = createResetWatch({ reconnects: () => reconnects, writtenAfterMs: 0, now: () => 0 });
  watch.aligned("a");
  for (const count of range(1, 20)) watch.isReset(count);
  reconnects += 1;
  expect(range(1, 30).map((count) => watch.isReset(count))).not.toContain(true);
  watch.aligned("b");
  expect(range(1, 5).map((count) => watch.isReset(count))).not.toContain(true);
});

/** Times in seconds, and the counts that came then. */
type Script = readonly (readonly [seconds: number, counts: readonly number[]])[];

test.each<[what: string, script: Script, wanted: boolean]>([
  [
    "that falls to 1 within a second of its first deliveries",
    [
      [0, range(1, 20)],
      [1, range(1, 30)],
    ],
    false,
  ],
  [
    "the same, and goes on for long",
    [
      [0, range(1, 90)],
      [1, [1]],
      [9, range(2, 20)],
      [20, range(21, 40)],
    ],
    false,
  ],
  [
    "that falls by what was delivered in the last seconds only",
    [
      [0, [1]],
      [8, range(2, 90)],
      [9, range(2, 90)],
    ],
    false,
  ],
  [
    "that falls below what it had long ago",
    [
      [0, range(1, 20)],
      [8, range(21, 30)],
      [9, [1]],
    ],
    true,
  ],
  [
    "that rests, and begins anew",
    [
      [0, range(1, 20)],
      [8, [1]],
    ],
    true,
  ],
  [
    "of a slow stream that begins anew",
    [
      [0, [1]],
      [2, [2]],
      [4, [3]],
      [6, [4]],
      [8, [5]],
      [9, [1]],
    ],
    true,
  ],
])("isReset() where only what is 3 s old is written, of a count %s", (_what, script, wanted) => {
  let now = 0;
  const watch = createResetWatch({ reconnects: () => 0, writtenAfterMs: 3000, now: () => now });
  watch.aligned("a");
  const isReset = script.map(([seconds, counts]) => {
    now = seconds * 1000;
    return counts.filter((count) => watch.isReset(count)).length > 0;
  });

  expect(isReset.some(Boolean)).toBe(wanted);
});

// Which of many messages each kind of sampling takes.

import { expect, test } from "bun:test";
import type { Sampling } from "#delivery/record.ts";
import { createSampler } from "#delivery-log/sampling.ts";

/** The numbers of the messages that are taken, of one each second. */
function takenOf(sampling: Sampling, messages: number): readonly number[] {
  let seconds = -1;
  const chances = [0.1, 0.9, 0.5];
  const isTaken = createSampler(sampling, {
    now: () => seconds * 1000,
    random: () => chances[seconds % chances.length] ?? 0,
  });
  return Array.from({ length: messages }, (_, index) => index).filter((index) => {
    seconds = index;
    return isTaken();
  });
}

test.each<[string, Sampling, readonly number[]]>([
  ["all", { kind: "all" }, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
  ["the first, then every fourth", { kind: "count", every: 4 }, [0, 4, 8]],
  ["every one", { kind: "count", every: 1 }, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
  ["by chance", { kind: "probability", share: 0.5 }, [0, 3, 6, 9]],
  ["never", { kind: "probability", share: 0 }, []],
  ["one in three seconds", { kind: "temporal", everyMs: 3000 }, [0, 3, 6, 9]],
  ["two in five seconds", { kind: "windowed-count", count: 2, windowMs: 5000 }, [0, 1, 5, 6]],
])("createSampler() records %s", (_, sampling, expected) => {
  expect(takenOf(sampling, 10)).toEqual(expected);
});

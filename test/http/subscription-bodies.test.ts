// Where a seek may go: not past the end of the stream.

import { expect, test } from "bun:test";
import type { DeliverPolicy } from "#delivery/subscription.ts";
import { findSeekFault } from "#http/subscription-commands.ts";

const NOW = new Date("2026-11-21T08:00:00Z");
const STREAM = { lastSequence: 29, now: NOW };

test.each<DeliverPolicy>([
  { kind: "all" },
  { kind: "new" },
  { kind: "last" },
  { kind: "start-sequence", sequence: 1 },
  { kind: "start-sequence", sequence: 30 },
  { kind: "start-time", time: NOW },
])("findSeekFault() finds none in %p", (start) => {
  expect(findSeekFault(start, STREAM)).toBeNull();
});

test("findSeekFault() finds a sequence past the next one, and a time to come", () => {
  expect(findSeekFault({ kind: "start-sequence", sequence: 31 }, STREAM)).toEqual({
    path: "sequence",
    message: "found 31, allowed: up to 30, for the stream ends at 29",
  });
  expect(findSeekFault({ kind: "start-time", time: new Date(NOW.getTime() + 1) }, STREAM)).toEqual({
    path: "time",
    message: "found a time to come, allowed: up to now, for the stream ends at 29",
  });
});

// The chart of the last hour, on a host whose clock is set.

import { afterEach, expect, setSystemTime, test } from "bun:test";
import { createActivity } from "#http/activity.ts";

const HOUR_MS = 3_600_000;

afterEach(() => void setSystemTime());

test("createActivity() neither forgets nor stops where the clock is set, on or back", () => {
  const startedAt = Date.now();
  const minutes = createActivity().of("billing");
  const total = () => minutes.read().delivered.reduce((sum, count) => sum + count, 0);
  minutes.add("delivered");
  setSystemTime(startedAt + 2 * HOUR_MS);
  minutes.add("delivered");
  expect(total()).toBe(2);
  setSystemTime(startedAt - 2 * HOUR_MS);
  minutes.add("delivered");
  expect([total(), minutes.read().perSecond]).toEqual([3, 3]);
});

// Records of replays, as relays keep them in the bucket.

import { expect, test } from "bun:test";
import { newReplay, NO_FILTER, parseReplayRecord, REPLAY_ALL, toLetterFilter } from "#delivery/replay.ts";

const OPTIONS = { maxReplays: null, now: new Date(0) };

test("parseReplayRecord() reads what was written, and the single values of an earlier version", () => {
  const filter = { ...NO_FILTER, subscription: ["billing", "shipping"], status: ["4xx"] };
  const record = newReplay("one", { ...REPLAY_ALL, filter }, OPTIONS);
  expect(parseReplayRecord(JSON.stringify(record))).toEqual(record);
  const earlier = { ...filter, subscription: "billing", status: null };
  const text = JSON.stringify({ ...record, request: { ...record.request, filter: earlier } });
  expect(parseReplayRecord(text)?.request.filter).toEqual({ ...NO_FILTER, subscription: ["billing"] });
  expect(parseReplayRecord("{")).toBeNull();
});

test("toLetterFilter() drops reasons and statuses that are none", () => {
  const filter = { ...NO_FILTER, reason: ["rejected", "x"], status: ["404", "9xx", "x"] };
  const { reason, status } = toLetterFilter(filter);
  expect(reason).toEqual(["rejected"]);
  expect(status).toEqual([
    { kind: "exact", status: 404 },
    { kind: "class", hundreds: 9 },
  ]);
});

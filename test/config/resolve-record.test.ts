// `logging` and `sampling` of the file in delivery's words.

import { expect, test } from "bun:test";
import * as v from "valibot";
import { toLogging, toSampling } from "#config/resolve-record.ts";
import { loggingSchema, samplingSchema } from "#schema/record.ts";

test.each([
  [{ type: "ALL" }, { kind: "all" }],
  [{ type: "COUNT" }, { kind: "count", every: 100 }],
  [
    { type: "COUNT", value: "7" },
    { kind: "count", every: 7 },
  ],
  [
    { type: "PROBABILITY", value: "0.25" },
    { kind: "probability", share: 0.25 },
  ],
  [
    { type: "TEMPORAL", value: "P1DT2H3M4.5S" },
    { kind: "temporal", everyMs: 93_784_500 },
  ],
  [
    { type: "TEMPORAL", value: "PT10S" },
    { kind: "temporal", everyMs: 10_000 },
  ],
  [
    { type: "WINDOWED_COUNT", value: "3/PT1M" },
    { kind: "windowed-count", count: 3, windowMs: 60_000 },
  ],
])("toSampling() of %j", (file, expected) => {
  expect(toSampling(v.parse(samplingSchema, file))).toEqual(expected as never);
});

test.each([
  { type: "TEMPORAL", value: "PT0S" },
  { type: "TEMPORAL", value: "P0DT0H0.000S" },
  { type: "TEMPORAL", value: "P1DT" },
  { type: "TEMPORAL", value: "PT" },
  { type: "WINDOWED_COUNT", value: "1/PT0M" },
  { type: "WINDOWED_COUNT", value: "0/PT1M" },
])("parseConfig() refuses the sampling %j", (file) => {
  expect(v.safeParse(samplingSchema, file).success).toBe(false);
});

test("toLogging() keeps nothing unless it is enabled", () => {
  const asked = { request: { headers: true, payload: false }, response: { headers: false, payload: true } };
  const none = { requestHeaders: false, requestBody: false, responseHeaders: false, responseBody: false };
  expect(toLogging(v.parse(loggingSchema, asked))).toEqual(none);
  expect(toLogging(v.parse(loggingSchema, { ...asked, enabled: true }))).toEqual({
    ...none,
    requestHeaders: true,
    responseBody: true,
  });
});

// Keys whose feature is not there yet are named, where they ask for something.

import { expect, test } from "bun:test";
import { configOf, withDelivery, withEntrypoint, withSettings } from "./parse-for-test.ts";

test.each([
  [
    "ordering.onFailure",
    withEntrypoint({
      qos: "AT_LEAST_ONCE",
      configuration: { ordering: { key: "subject", onFailure: "key" } },
    }),
    "entrypoints[0].configuration.ordering.onFailure does nothing yet",
  ],
])("listUnused() names %s", async (_, file, line) => {
  expect((await configOf(file)).unused).toEqual([line]);
});

test.each([
  ["logging and sampling", withSettings({ logging: { enabled: true }, sampling: { type: "ALL" } })],
  ["a proxy that is off", withSettings({ proxy: { enabled: false, useSystemProxy: false } })],
  ["no authentication", withDelivery({ auth: { type: "none" } })],
  ["a replay by hand", withEntrypoint({ dlq: { endpoint: "letters", replay: { strategy: "MANUAL" } } })],
])("listUnused() says nothing about %s", async (_, file) => {
  expect((await configOf(file)).unused).toEqual([]);
});

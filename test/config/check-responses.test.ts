// `responses`: what is refused, with its place, and how the maps of entrypoint and subscription become one.

import { expect, test } from "bun:test";
import { meaningOf } from "#delivery/responses.ts";
import { configOf, faultsOf, type Json, withEntrypoint } from "./parse-for-test.ts";

function withResponses(entrypoint: Json, subscription: Json): Json {
  const configuration = {
    entrypointId: "webhook",
    callbackUrl: "http://127.0.0.1/",
    responses: subscription,
  };
  return {
    ...withEntrypoint({ configuration: { responses: entrypoint } }),
    subscriptions: [{ id: "a", configuration }],
  };
}

test.each<[Json, Json, RegExp]>([
  [
    { "500-503": "retry", "502-510": "stop" },
    {},
    /^entrypoints\[0\]\S*502-510\S*: overlaps "500-503": allowed/,
  ],
  [
    { "500-503": "retry" },
    { "502-510": "stop" },
    /^subscriptions\[0\]\S*: overlaps "500-503" of the entrypoint/,
  ],
  [{}, { "503-500": "retry" }, /^subscriptions\[0\]\S*: allowed: a range that begins before it ends$/],
  [
    { "410": "stopp" },
    {},
    /^entrypoints\[0\]\S*: found "stopp", allowed: delivered, rejected, retry, server-error, stop$/,
  ],
  [{ "4x": "retry" }, {}, /^entrypoints\[0\]\S*4x\S*: found .*, allowed: a status, a range or a class/],
])("checkResponses() of %j and %j", async (entrypoint, subscription, fault) => {
  const faults = await faultsOf(withResponses(entrypoint, subscription));
  expect(faults).toHaveLength(1);
  expect(faults[0]).toMatch(fault);
});

test("resolveCallback() merges the maps by entry, and the subscription's wins", async () => {
  const file = withResponses({ "410": "stop", "409": "delivered" }, { "409": "retry" });
  const [subscription] = (await configOf(file)).subscriptions;
  const { responses = [] } = subscription?.callback ?? {};
  expect([meaningOf(410, responses), meaningOf(409, responses)]).toEqual(["stop", "retry"]);
});

// `ordering`: under which quality of service, on the entrypoint and on the subscription, and what becomes of it.

import { describe, expect, test } from "bun:test";

import { configOf, faultsOf, type Json, withEntrypoint } from "./parse-for-test.ts";

const E = "entrypoints[0].configuration.ordering";
const S = "subscriptions[0].configuration.ordering";
const ONLY = "allowed under AT_LEAST_ONCE and AT_MOST_ONCE only, found qos AUTO";

function withOrdering(
  qos: string,
  { entrypoint, subscription }: { entrypoint?: Json; subscription?: Json },
): Json {
  const own = subscription === undefined ? {} : { ordering: subscription };
  const configuration = entrypoint === undefined ? {} : { ordering: entrypoint };
  return {
    ...withEntrypoint({ qos, configuration }),
    subscriptions: [
      { id: "a", configuration: { entrypointId: "webhook", callbackUrl: "http://127.0.0.1/", ...own } },
    ],
  };
}

const BY_SUBJECT = { key: "subject" };

describe("checkOrdering()", () => {
  test.each<[Json, string]>([
    [withOrdering("AUTO", { entrypoint: BY_SUBJECT }), `${E}: ${ONLY}`],
    [withOrdering("AUTO", { subscription: BY_SUBJECT }), `${S}: ${ONLY}`],
    [
      withOrdering("AT_LEAST_ONCE", { subscription: { onFailure: "key" } }),
      `${S}.onFailure: found "key" without ordering.key, allowed: subscription`,
    ],
    [
      withOrdering("AT_LEAST_ONCE", { entrypoint: { window: 1001 } }),
      `${E}.window: found 1001, allowed: a whole number from 1 to 1000`,
    ],
    [
      withOrdering("AT_LEAST_ONCE", { subscription: { key: "token:0" } }),
      `${S}.key: found a string of another form, allowed: "subject", "header:NAME" or "token:N", N from 1 to 99`,
    ],
  ])("checkOrdering() reports %#: %p", async (file, fault) => {
    expect(await faultsOf(file)).toContain(fault);
  });
});

describe("resolveSubscriptions()", () => {
  const resolve = async (...args: Parameters<typeof withOrdering>) =>
    (await configOf(withOrdering(...args))).subscriptions[0];

  test.each<[Json, unknown]>([
    [{}, { key: { kind: "none" }, onFailure: "subscription", window: 64 }],
    [{ window: 5 }, { key: { kind: "none" }, onFailure: "subscription", window: 5 }],
    [BY_SUBJECT, { key: { kind: "subject" }, onFailure: "subscription", window: 256 }],
    [
      { key: "header:X-Order", onFailure: "key" },
      { key: { kind: "header", name: "x-order" }, onFailure: "key", window: 256 },
    ],
    [{ key: "token:2" }, { key: { kind: "token", index: 2 }, onFailure: "subscription", window: 256 }],
  ])("resolveSubscriptions() resolves ordering %p", async (ordering, resolved) => {
    expect((await resolve("AT_LEAST_ONCE", { subscription: ordering }))?.ordering).toEqual(resolved as never);
    expect((await resolve("AT_MOST_ONCE", { entrypoint: ordering }))?.ordering).toEqual(resolved as never);
  });

  test("resolveSubscriptions() replaces the entrypoint's ordering as a whole by the subscription's", async () => {
    const both = { entrypoint: { key: "subject", window: 5 }, subscription: { key: "token:1" } };
    expect((await resolve("AT_LEAST_ONCE", both))?.ordering?.window).toBe(256);
  });

  test("resolveCallback() allows several requests at once only with an ordering key", async () => {
    const connections = async (ordering: Json) =>
      (await resolve("AT_LEAST_ONCE", { subscription: ordering }))?.callback.maxConcurrentConnections;
    expect([await connections({}), await connections(BY_SUBJECT)]).toEqual([1, 5]);
    expect((await resolve("AUTO", {}))?.ordering).toBeNull();
  });
});

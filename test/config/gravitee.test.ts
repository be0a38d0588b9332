// What Gravitee exports is taken as it stands: null and NONE for what is not there, its slash, its name of configuration.

import { expect, test } from "bun:test";
import { configOf, faultsOf, FILE, withDelivery, withEntrypoint } from "./parse-for-test.ts";

const SUBSCRIPTION = {
  id: "a",
  consumerConfiguration: {
    entrypointId: "webhook",
    channel: "/orders.created",
    entrypointConfiguration: {
      callbackUrl: "http://127.0.0.1/",
      ssl: { trustStore: { type: "" }, keyStore: { type: "NONE" }, hostnameVerifier: true, trustAll: false },
      auth: { type: "none" },
    },
  },
};

test("parseConfig() takes an export of Gravitee", async () => {
  const config = await configOf({
    ...FILE,
    entrypoints: [{ type: "webhook", dlq: null }],
    subscriptions: [SUBSCRIPTION],
  });
  expect(config.warnings).toEqual([]);
  expect(config.subscriptions).toMatchObject([
    {
      id: "a",
      deadLetters: [],
      source: { filterSubjects: ["orders.created"] },
      callback: {
        url: new URL("http://127.0.0.1/"),
        route: { tls: { trusted: null, identity: null, verifiesCertificate: true } },
      },
    },
  ]);
});

test.each([
  ["", []],
  ["NONE", []],
  [null, []],
])("parseConfig() treats a trust store of type %j as absent", async (type, expected) => {
  const trustStore = type === null ? null : { type };
  expect(await faultsOf(withDelivery({ ssl: { trustStore, keyStore: trustStore } }))).toEqual(expected);
});

test("parseConfig() drops one slash before a channel, and nothing else", async () => {
  const filterOf = async (channel: string) => {
    const file = withDelivery({ channel });
    const open = { ...file, endpoints: [{ name: "all", type: "jetstream", consumer: { stream: "ORDERS" } }] };
    return (await configOf(open)).subscriptions[0]?.source.filterSubjects;
  };
  expect(await filterOf("/orders.created")).toEqual(["orders.created"]);
  expect(await filterOf("orders/created")).toEqual(["orders/created"]);
  expect(await filterOf("//orders")).toEqual(["/orders"]);
  expect(await faultsOf(withDelivery({ channel: "/" }))).toHaveLength(1);
});

test("parseConfig() reports faults of schema and checks below consumerConfiguration", async () => {
  const faults = await faultsOf({
    ...FILE,
    subscriptions: [
      { id: "a", consumerConfiguration: { entrypointId: "other", callbackUrl: "http://h/" } },
      { id: "b", consumerConfiguration: { entrypointId: "webhook", callbackUrl: 5 } },
    ],
  });
  expect(faults).toEqual([
    'subscriptions[0].consumerConfiguration.entrypointId: no entrypoint is named "other", known: "webhook"',
    expect.stringMatching(/^subscriptions\[1\]\.consumerConfiguration\.callbackUrl: allowed: a string/u),
  ]);
});

test("parseConfig() treats configuration and consumerConfiguration as two names of one key", async () => {
  const { consumerConfiguration } = SUBSCRIPTION;
  expect(await faultsOf({ ...FILE, subscriptions: [{ id: "a" }] })).toEqual([
    "subscriptions[0].configuration: missing, allowed: an object with entrypointId, channel, callbackUrl and more",
  ]);
  const both = { ...SUBSCRIPTION, configuration: consumerConfiguration };
  expect(await faultsOf({ ...FILE, subscriptions: [both] })).toEqual([
    "subscriptions[0].configuration: excluded by consumerConfiguration: give one of them",
  ]);
});

test("parseConfig() requires an endpoint in an entrypoint's dlq", async () => {
  expect(await faultsOf(withEntrypoint({ dlq: {} }))).toEqual([
    "entrypoints[0].dlq.endpoint: missing, allowed: 1 to 128 printable characters",
  ]);
});

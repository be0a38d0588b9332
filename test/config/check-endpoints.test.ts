// Faults of endpoints and groups, and of the names that lead to them.

import { expect, test } from "bun:test";
import { faultsOf, FILE, LETTERS, SOURCE, withEntrypoint, type Json } from "./parse-for-test.ts";

const E = "entrypoints[0]";
const endpoints = (...list: readonly Json[]) => ({ ...FILE, endpoints: list });

test.each<[string, unknown, readonly string[]]>([
  [
    "an unknown endpoint",
    withEntrypoint({ endpoint: "order" }),
    [`${E}.endpoint: no endpoint is named "order"`],
  ],
  [
    "an endpoint that cannot be read from",
    withEntrypoint({ endpoint: "letters" }),
    [`${E}.endpoint: "letters" has no consumer, so it cannot be read from`],
  ],
  [
    "several endpoints to choose from",
    endpoints(SOURCE, { ...SOURCE, name: "b" }),
    [`${E}.endpoint: missing, because several endpoints have a consumer: "orders", "b"`],
  ],
  [
    "no endpoint to read from",
    endpoints(LETTERS),
    [`${E}.endpoint: no endpoint has a consumer to read from`],
  ],
  [
    "an unknown dead-letter endpoint",
    withEntrypoint({ dlq: { endpoint: "leters" } }),
    [`${E}.dlq.endpoint: no endpoint or endpoint group is named "leters"`],
  ],
  [
    "a dead-letter endpoint without a producer",
    withEntrypoint({ dlq: { endpoint: "orders" } }),
    [`${E}.dlq.endpoint: "orders" has no producer, so it cannot take dead letters`],
  ],
  [
    "a member of a dead-letter group without a producer",
    {
      ...withEntrypoint({ dlq: { endpoint: "g" } }),
      endpointGroups: [{ name: "g", endpoints: ["letters", "orders"] }],
    },
    [`${E}.dlq.endpoint: "orders" has no producer, so it cannot take dead letters`],
  ],
  [
    "an unknown member of a group",
    { ...FILE, endpointGroups: [{ name: "g", endpoints: ["lettres"] }] },
    ['endpointGroups[0].endpoints[0]: no endpoint is named "lettres"'],
  ],
  [
    "a name that an endpoint and a group share",
    { ...FILE, endpointGroups: [{ name: "letters", endpoints: ["letters"] }] },
    ['endpointGroups[0].name: "letters" is the name of another endpoint or group already'],
  ],
  [
    "a producer subject inside the consumed subjects",
    {
      ...withEntrypoint({ dlq: { endpoint: "letters" } }),
      endpoints: [SOURCE, { ...LETTERS, producer: { stream: "LETTERS", subject: "orders.dead" } }],
    },
    [
      'endpoints[1].producer.subject: "orders.dead" lies inside what the entrypoint "webhook" consumes: "orders.>"',
    ],
  ],
  [
    "a producer in the stream of which everything is consumed",
    {
      ...withEntrypoint({ dlq: { endpoint: "letters" } }),
      endpoints: [
        { ...SOURCE, consumer: { stream: "ORDERS" } },
        { ...LETTERS, producer: { stream: "ORDERS", subject: "dead" } },
      ],
    },
    [
      'endpoints[1].producer.subject: "dead" lies inside what the entrypoint "webhook" consumes: all of the stream ORDERS',
    ],
  ],
  [
    "subjects that overlap",
    endpoints({ ...SOURCE, consumer: { stream: "ORDERS", subjects: ["orders.*", "orders.new"] } }),
    ['endpoints[0].consumer.subjects[1]: "orders.new" overlaps "orders.*"'],
  ],
])("checkEndpoints() reports %s", async (_, file, expected) => {
  expect(await faultsOf(file)).toEqual([...expected]);
});

const startingAt = (startTime: string) =>
  endpoints({ ...SOURCE, consumer: { stream: "ORDERS", deliverPolicy: { startTime } } });

test.each(["2020-02-31T00:00:00Z", "2021-02-29T12:00:00+01:00", "2020-04-31T00:00Z", "2020-13-01T00:00:00Z"])(
  "checkEndpoints() refuses %s, which the calendar does not have",
  async (startTime) => {
    expect(await faultsOf(startingAt(startTime))).toEqual([
      "endpoints[0].consumer.deliverPolicy.startTime: this time does not exist",
    ]);
  },
);

test.each(["2020-02-29T23:59:59.5-12:00", "2020-12-31T00:00+14:00"])(
  "checkEndpoints() takes %s",
  async (startTime) => {
    expect(await faultsOf(startingAt(startTime))).toEqual([]);
  },
);

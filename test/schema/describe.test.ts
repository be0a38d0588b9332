// The tables of the documentation say what the schema says.

import { expect, test } from "bun:test";
import { describeConfig } from "#schema/describe.ts";

const tables = new Map(describeConfig().map(({ name, markdown }) => [name, markdown.split("\n")]));

test.each([
  ["shutdown", "| `shutdown.graceSeconds` | `20` | How long a drain waits (0 to 600) |"],
  [
    "system",
    "| `system.proxy.host`, `port` | required | Host of the proxy · Port of the proxy (1 to 65535) |",
  ],
  ["entrypoints", "| `id` | the `type` | What a subscription's `entrypointId` names; unique |"],
  [
    "entrypoints",
    "| `configuration.http.connectTimeout` | `3000` | Time to connect, in milliseconds (1 to 600000) |",
  ],
  [
    "entrypoints",
    '| `configuration.headers` | `[]` | Headers of the request: a list of `{ "name", "value" }` |',
  ],
])("describeConfig() has a line in %s", (name, line) => {
  expect(tables.get(name)).toContain(line);
});

test("describeConfig() has a table for each top-level key, and a meaning for each key", () => {
  expect([...tables.keys()]).toEqual([
    "host",
    "nats",
    "fleet",
    "server",
    "system",
    "state",
    "deliveryLog",
    "telemetry",
    "shutdown",
    "logs",
    "callbacks",
    "endpoints",
    "endpointGroups",
    "entrypoints",
    "subscriptions",
  ]);
  const rows = [...tables.values()].flatMap((lines) => lines.slice(2));
  expect(rows.filter((row) => row.endsWith("|  |"))).toEqual([]);
});

test("describeConfig() describes a key that entrypoints and subscriptions share once", () => {
  const named = (name: string) =>
    (tables.get(name) ?? []).filter((line) => line.includes("`configuration.retry`"));
  expect([named("entrypoints").length, named("subscriptions").length]).toEqual([1, 0]);
});

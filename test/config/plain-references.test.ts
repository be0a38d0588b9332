// References in strings that are no secrets: where they may stand, what is read, what is said of it, and what is not shown.

import { expect, test } from "bun:test";
import type { GenericSchema } from "valibot";
import * as v from "valibot";
import { maskConfig } from "#config/mask-config.ts";
import { toPlaceholder } from "#config/plain-references.ts";
import { configSchema } from "#schema/file.ts";
import { entriesOf, innerOf, shapeOf } from "#schema/unwrap.ts";
import {
  configOf,
  faultsOf,
  FILE,
  type Json,
  LETTERS,
  withDelivery,
  withEntrypoint,
} from "./parse-for-test.ts";

const env = {
  HOST: "edge-7",
  SUBJECT: "orders.edge-7.>",
  TENANT: "shop",
  BAD: "hunter2 hunter2",
  SERVER: "nats://a:1",
};
const readFile = () => "orders.other\n";
const at = (file: Json) => configOf(file, { env, readFile });
const SUBJECTS = { consumer: { stream: "ORDERS", subjects: [{ env: "SUBJECT" }, { file: "/x" }] } };

test("parseConfig() follows a reference in place of any string, also in lists", async () => {
  const config = await at({
    ...FILE,
    host: { name: { env: "HOST" } },
    nats: { servers: [{ env: "SERVER" }] },
    endpoints: [{ name: "orders", type: "jetstream", ...SUBJECTS }, LETTERS],
    subscriptions: [
      {
        id: "a",
        application: { env: "TENANT" },
        metadata: { env: "prod", region: { env: "HOST" } },
        configuration: { entrypointId: "webhook", callbackUrl: "http://127.0.0.1/", channel: { file: "/x" } },
      },
    ],
  });
  expect(config).toMatchObject({
    host: { name: "edge-7" },
    nats: { servers: ["nats://a:1"] },
    subscriptions: [
      {
        application: "shop",
        source: { filterSubjects: ["orders.other"] },
      },
    ],
  });
  expect(config.origin.file.subscriptions[0]?.metadata).toEqual({ env: "prod", region: "edge-7" });
  expect(config.references.map(({ path, source }) => `${path} ${source.kind} ${source.name}`)).toEqual([
    "endpoints[0].consumer.subjects[0] env SUBJECT",
    "endpoints[0].consumer.subjects[1] file /x",
    "subscriptions[0].application env TENANT",
    "subscriptions[0].metadata.region env HOST",
    "subscriptions[0].configuration.channel file /x",
    "host.name env HOST",
    "nats.servers[0] env SERVER",
  ]);
});

test("maskConfig() shows the value of a plain reference, and keeps the reference of a secret", async () => {
  const header = (name: string) => ({ name, value: { env: "TENANT" } });
  const config = await at({ ...withDelivery({ headers: [header("X-A")] }), host: { name: { env: "HOST" } } });
  expect(maskConfig(config.origin.file)).toMatchObject({
    host: { name: "edge-7" },
    subscriptions: [{ configuration: { headers: [{ name: "X-A", value: { env: "TENANT" } }] } }],
  });
});

test.each<[what: string, file: Json, faults: readonly string[]]>([
  [
    "a variable that is not set",
    { ...FILE, host: { name: { env: "NONE" } } },
    ["host.name: the environment variable NONE is not set"],
  ],
  [
    "a value of another form, which is not shown",
    { ...FILE, host: { name: { env: "BAD" } } },
    [
      'host.name: found a string of another form, allowed: 1 to 128 letters, digits, "-", "_" and ".", in the environment variable BAD',
    ],
  ],
  [
    "a value that a check refuses",
    { ...FILE, server: { listen: { env: "SERVER" } } },
    [
      "server.listen: found a string of another form, allowed: host:port such as 127.0.0.1:8080, or null, in the environment variable SERVER",
    ],
  ],
  [
    "an id",
    { ...FILE, subscriptions: [{ id: { env: "HOST" }, configuration: { entrypointId: "webhook" } }] },
    [
      'subscriptions[0].id: found an object, allowed: 1 to 128 letters, digits, "-" and "_"',
      'subscriptions[0].configuration.callbackUrl: missing, here or on the entrypoint "webhook"',
    ],
  ],
  [
    "a fixed word",
    withEntrypoint({ qos: { env: "HOST" } }),
    [expect.stringMatching(/^entrypoints\[0\]\.qos: found an object/u)],
  ],
  [
    "a type",
    { ...FILE, nats: { auth: { type: { env: "HOST" } } } },
    [expect.stringContaining("nats.auth.type: found an object")],
  ],
  [
    "a number",
    { ...FILE, shutdown: { graceSeconds: { env: "HOST" } } },
    [expect.stringContaining("found an object")],
  ],
])("parseConfig() refuses a reference for %s", async (_what, file, faults) => {
  const found = await faultsOf(file, { env, readFile });
  expect(found.map(String)).toEqual([...faults]);
  expect(found.join()).not.toContain("hunter2");
});

test("parseConfig() replaces references by placeholders without secrets", async () => {
  const file = {
    ...FILE,
    host: { name: { env: "NONE" } },
    nats: { servers: [{ env: "NONE" }] },
    endpoints: [
      { name: "orders", type: "jetstream", consumer: { stream: { env: "S" }, subjects: [{ env: "NONE" }] } },
    ],
  };
  expect(await faultsOf(file, { withoutSecrets: true })).toEqual([]);
  const channel = { ...withDelivery({ channel: { env: "NONE" } }) };
  expect(await faultsOf(channel, { withoutSecrets: true })).toEqual([]);
});

test("toPlaceholder() has a valid value for every string of the file", () => {
  const without = listStrings(configSchema, "").filter(([, schema]) => toPlaceholder(schema) === "");
  expect(without.map(([key]) => key)).toEqual([]);
});

function listStrings(schema: GenericSchema, path: string): readonly (readonly [string, GenericSchema])[] {
  const shape = shapeOf(schema);
  if (shape.kind === "list") return listStrings(shape.item, `${path}[]`);
  if (shape.kind === "variant") return shape.options.flatMap((option) => listStrings(option, path));
  if (shape.kind === "object") {
    return Object.entries(entriesOf(schema)).flatMap(([key, entry]) => listStrings(entry, `${path}.${key}`));
  }
  const inner = innerOf(schema);
  return inner.type === "string" && v.getMetadata(inner)["isId"] !== true ? [[path, inner]] : [];
}

// What may be shown of a config: everything but its secrets, in a form that the file takes again.

import { expect, test } from "bun:test";
import type { ConfigFile } from "#config/schema.ts";
import { createMask } from "#lib/mask.ts";
import { toShown } from "#config/shown.ts";
import { validate } from "#config/validate.ts";
import {
  configOf,
  FILE,
  type Json,
  withDelivery,
  withEntrypoint,
  withSubscription,
} from "./parse-for-test.ts";

const asItIs = (text: string) => text;

function fileOf(value: unknown): ConfigFile {
  const validation = validate(value);
  if (validation.kind === "valid") return validation.file;
  throw new Error(JSON.stringify(validation.faults));
}

/** What is shown of the first subscription's `configuration`. */
function shownDelivery(configuration: Json): unknown {
  const [entry] = fileOf(withDelivery(configuration)).subscriptions;
  if (entry === undefined) throw new Error("There is no subscription");
  const shown = toShown(entry, asItIs);
  return typeof shown === "object" && shown !== null && "configuration" in shown
    ? shown["configuration"]
    : null;
}

test("toShown() applies the defaults of the schema, and keeps the shape of the file", () => {
  expect(toShown(fileOf(FILE), asItIs)).toMatchObject({
    nats: { servers: ["nats://127.0.0.1:4222"], auth: { type: "none" } },
    server: { listen: "127.0.0.1:8080" },
    logs: { level: "info", format: "json" },
    entrypoints: [{ type: "webhook", qos: "AUTO", configuration: { http: { readTimeout: 10_000 } } }],
    subscriptions: [
      {
        id: "a",
        status: "ACCEPTED",
        configuration: { entrypointId: "webhook", callbackUrl: "http://127.0.0.1/" },
      },
    ],
  });
});

test("toShown() shows null where the file says so", () => {
  expect(toShown(fileOf({ ...FILE, server: { listen: null } }), asItIs)).toMatchObject({
    server: { listen: null },
  });
});

test.each<[string, Json, Json]>([
  [
    "a token",
    { auth: { type: "token", token: { value: "hunter2" } } },
    { auth: { token: { value: "***" } } },
  ],
  [
    "a password, but not the user name",
    { auth: { type: "basic", basic: { username: "relay", password: "" } } },
    { auth: { basic: { username: "relay", password: "***" } } },
  ],
  [
    "headers, but not the plain ones",
    {
      headers: [
        { name: "X-Key", value: "hunter2" },
        { name: "accept", value: "text/plain" },
      ],
    },
    {
      headers: [
        { name: "X-Key", value: "***" },
        { name: "accept", value: "text/plain" },
      ],
    },
  ],
  ["keys", { signature: { secrets: ["whsec_a", "whsec_b"] } }, { signature: { secrets: ["***", "***"] } }],
  [
    "content, but not paths",
    {
      ssl: {
        trustStore: { type: "PEM", path: "ca.pem" },
        keyStore: { type: "PEM", keyContent: "k", certContent: "c" },
      },
    },
    { ssl: { trustStore: { path: "ca.pem" }, keyStore: { keyContent: "***", certContent: "***" } } },
  ],
  [
    "no references",
    {
      callbackUrl: { env: "HOOK" },
      auth: { type: "token", token: { value: { credential: "token" } } },
      headers: [{ name: "X-Key", value: { file: "/run/key" } }],
    },
    {
      callbackUrl: { env: "HOOK" },
      auth: { type: "token", token: { value: { credential: "token" } } },
      headers: [{ name: "X-Key", value: { file: "/run/key" } }],
    },
  ],
  [
    "the query of a URL",
    { callbackUrl: "https://example.com/hook?token=hunter2#part" },
    { callbackUrl: "https://example.com/hook?***" },
  ],
  [
    "the fragment of a URL",
    { callbackUrl: "https://example.com/hook#hunter2" },
    { callbackUrl: "https://example.com/hook#***" },
  ],
  [
    "the query of a token endpoint",
    {
      auth: {
        type: "oauth2",
        oauth2: { endpoint: "HTTPS://a/t?k=hunter2", clientId: "c", clientSecret: "s" },
      },
    },
    { auth: { oauth2: { endpoint: "HTTPS://a/t?***", clientId: "c", clientSecret: "***" } } },
  ],
])("toShown() hides %s", (_, configuration, expected) => {
  expect(shownDelivery(configuration)).toMatchObject(expected);
});

test("toShown() hides queries and secrets in free text", () => {
  const metadata = { docs: "see http://docs/?key=hunter2 and hunter2hunter2", team: "orders" };
  const configuration = { entrypointId: "webhook", callbackUrl: "http://127.0.0.1/" };
  const file = fileOf(withSubscription({ metadata, configuration }));
  expect(toShown(file, createMask(["hunter2hunter2"]))).toMatchObject({
    subscriptions: [{ metadata: { docs: "see http://docs/?*** and ***", team: "orders" } }],
  });
});

const SECRET = "hunter2hunter2";
const FULL = {
  ...withEntrypoint({
    configuration: {
      callbackUrl: `https://example.com/${"x".repeat(20)}?token=${SECRET}`,
      headers: [{ name: "Authorization", value: `Bearer ${SECRET}` }],
      proxy: { enabled: true, useSystemProxy: true },
    },
  }),
  nats: { auth: { type: "user", username: "relay", password: SECRET } },
  server: { auth: { type: "basic", username: "admin", password: SECRET } },
  system: { proxy: { type: "HTTP", host: "proxy", port: 3128, username: "relay", password: SECRET } },
  state: { key: Buffer.alloc(32, SECRET).toString("base64") },
  subscriptions: [
    {
      id: "a",
      metadata: { note: `The password is ${SECRET}` },
      configuration: {
        entrypointId: "webhook",
        entrypointConfiguration: {
          deliverPolicy: { startSequence: 7 },
          signature: { secrets: [`whsec_${Buffer.alloc(24, SECRET).toString("base64")}`] },
        },
      },
    },
  ],
};

test("toShown() shows no secret of a file, and what is shown is taken as a file again", async () => {
  const { secrets } = await configOf(FULL);
  const shown = toShown(fileOf(FULL), createMask(secrets));
  const text = JSON.stringify(shown);
  expect(secrets.length).toBeGreaterThan(4);
  expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
  expect(validate(shown).kind).toBe("valid");
  expect(toShown(fileOf(shown), asItIs)).toEqual(shown);
});

// What may be shown of a config: everything but its secrets, in a form that the file takes again.

import { expect, test } from "bun:test";
import type { ConfigFile } from "#schema/file.ts";
import { listSecrets } from "#config/secrets.ts";
import { maskConfig } from "#config/mask-config.ts";
import { validate } from "#schema/validate.ts";
import { FILE, type Json, withDelivery, withEntrypoint, withSubscription } from "./parse-for-test.ts";

function fileOf(value: unknown): ConfigFile {
  const validation = validate(value);
  if (validation.kind === "valid") return validation.file;
  throw new Error(JSON.stringify(validation.faults));
}

/** What is shown of the first subscription's `configuration`. */
function shownDelivery(configuration: Json): unknown {
  const [entry] = fileOf(withDelivery(configuration)).subscriptions;
  if (entry === undefined) throw new Error("There is no subscription");
  const shown = maskConfig(entry);
  return typeof shown === "object" && shown !== null && "configuration" in shown
    ? shown["configuration"]
    : null;
}

test("maskConfig() applies the defaults of the schema, and keeps the shape of the file", () => {
  expect(maskConfig(fileOf(FILE))).toMatchObject({
    nats: { servers: ["nats://127.0.0.1:4222"], auth: { type: "none" } },
    server: { listen: "127.0.0.1:8080" },
    logs: { level: "info" },
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

test("maskConfig() shows null where the file says so", () => {
  expect(maskConfig(fileOf({ ...FILE, server: { listen: null } }))).toMatchObject({
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
  [
    "the parameters of a token request",
    {
      auth: {
        type: "oauth2",
        oauth2: {
          endpoint: "https://a/",
          clientId: "c",
          clientSecret: "s",
          audience: "https://api/",
          parameters: [{ name: "key", value: "hunter2" }],
        },
      },
    },
    { auth: { oauth2: { audience: "https://api/", parameters: [{ name: "key", value: "***" }] } } },
  ],
])("maskConfig() hides %s", (_, configuration, expected) => {
  expect(shownDelivery(configuration)).toMatchObject(expected);
});

test("maskConfig() does not search free texts: a mask inside one would reveal a secret of another key", () => {
  const metadata = { docs: "see http://docs/?key=hunter2 and hunter2hunter2", team: "***" };
  const auth = { type: "token", token: { value: "hunter2hunter2" } };
  const configuration = { entrypointId: "webhook", callbackUrl: "http://127.0.0.1/", auth };
  expect(maskConfig(fileOf(withSubscription({ metadata, configuration })))).toMatchObject({
    subscriptions: [{ metadata, configuration: { auth: { token: { value: "***" } } } }],
  });
});

test("maskConfig() hides the query of jwksUri", () => {
  const auth = { type: "jwt", jwksUri: "https://a/keys?key=hunter2", issuer: "i", audience: "a" };
  expect(maskConfig(fileOf({ ...FILE, server: { auth } }))).toMatchObject({
    server: { auth: { jwksUri: "https://a/keys?***" } },
  });
});

test("maskConfig() keeps every key, such as __proto__", () => {
  const metadata: unknown = JSON.parse('{ "__proto__": "a", "constructor": "b", "toString": "c" }');
  const configuration = { entrypointId: "webhook", callbackUrl: "http://127.0.0.1/" };
  const [entry] = fileOf(withSubscription({ metadata, configuration })).subscriptions;
  expect(JSON.stringify(entry === undefined ? null : maskConfig(entry))).toContain(JSON.stringify(metadata));
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
      metadata: { note: "What is written here is no secret" },
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

test("maskConfig() shows no secret, and its result is a valid file", () => {
  const shown = maskConfig(fileOf(FULL));
  const secrets = listSecrets(fileOf(FULL)).flatMap(({ source, isPublic }) =>
    source.kind === "inline" && !isPublic ? [source.value] : [],
  );
  const text = JSON.stringify(shown);
  expect(secrets.length).toBeGreaterThan(4);
  expect([SECRET, ...secrets].filter((secret) => text.includes(secret))).toEqual([]);
  expect(validate(shown).kind).toBe("valid");
  expect(maskConfig(fileOf(shown))).toEqual(shown);
});

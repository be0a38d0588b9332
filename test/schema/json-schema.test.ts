// The JSON Schema accepts what `check` accepts, and refuses what a schema can refuse.

import { expect, test } from "bun:test";
import { configJsonSchema } from "#schema/json-schema.ts";
import { isValid } from "./json-schema-validator.ts";
import {
  faultsOf,
  FILE,
  type Json,
  LETTERS,
  SOURCE,
  withDelivery,
  withEntrypoint,
  withSettings,
} from "../config/parse-for-test.ts";
import { ENTRYPOINTS, fileWith, SUBSCRIPTIONS } from "../config/seed-blocks.ts";

const schema: Json = JSON.parse(JSON.stringify(configJsonSchema()));

const seeds = Object.entries(ENTRYPOINTS).flatMap(([about, entrypoint]) =>
  Object.entries(SUBSCRIPTIONS).map(
    ([what, subscription]) =>
      [`${about} and ${what}`, JSON.parse(fileWith(entrypoint, subscription))] as const,
  ),
);
const FULL = {
  $schema: "https://example.com/relay.schema.json",
  nats: { servers: ["tls://a:4222"], auth: { type: "user", username: "u", password: { env: "PASSWORD" } } },
  server: { listen: null, auth: { type: "basic", username: "u", password: { credential: "p" } } },
  system: { proxy: { type: "SOCKS5", host: "proxy", port: 1080, noProxy: [".local"] } },
  state: { directory: "/var/lib/relay", bucket: "b" },
  deliveryLog: { maxAgeDays: 1 },
  callbacks: { deny: ["10.0.0.0/8"], allow: ["::1"] },
  endpoints: [{ ...SOURCE, domain: "hub" }, LETTERS],
  endpointGroups: [{ name: "group", endpoints: ["letters"] }],
  entrypoints: [
    {
      type: "webhook",
      qos: "at-least-once",
      dlq: { endpoint: "group", replay: { strategy: "SCHEDULED", intervalSeconds: 60, maxReplays: 2 } },
      configuration: {
        retry: { retryOption: "Retry On Fail", retryStrategy: "LINEAR" },
        sampling: { type: "WINDOWED_COUNT", value: "1/PT10S" },
        logging: { enabled: true, request: { headers: true } },
        ordering: { key: "header:X-Key" },
      },
    },
  ],
  subscriptions: [
    {
      id: "a",
      metadata: { team: "billing" },
      startingAt: "2026-01-31T12:00:00Z",
      configuration: {
        entrypointId: "webhook",
        deliverPolicy: { startTime: "2026-01-31T12:00:00.5+01:00" },
        callbackUrl: { file: "/run/url" },
        headers: [{ name: "X-A", value: "b" }],
        ssl: { trustStore: { type: "PKCS12", path: "/a.p12", password: "p" } },
      },
    },
  ],
};

test.each<readonly [string, unknown]>([["small file", FILE], ["file with everything", FULL], ...seeds])(
  "configJsonSchema() accepts a %s, as check does",
  async (_, file) => {
    expect(await faultsOf(file, { withoutSecrets: true })).toEqual([]);
    expect(isValid(file, schema)).toBe(true);
  },
);

test.each<[string, unknown]>([
  ["an unknown key", withEntrypoint({ qoss: 1 })],
  ["a wrong word", withEntrypoint({ qos: "ALWAYS" })],
  ["a number out of range", withSettings({ http: { readTimeout: 0 } })],
  ["a missing part of a variant", withDelivery({ auth: { type: "basic", basic: { username: "u" } } })],
  ["a malformed subject", withDelivery({ channel: "a..b" })],
  ["a malformed reference", withDelivery({ callbackUrl: { envv: "URL" } })],
])("configJsonSchema() refuses %s, as check does", async (_, file) => {
  expect(await faultsOf(file)).not.toEqual([]);
  expect(isValid(file, schema)).toBe(false);
});

test("configJsonSchema() closes every object and describes every key", () => {
  const open: string[] = [];
  const mute: string[] = [];
  const walk = (value: unknown, path: string): void => {
    if (Array.isArray(value)) value.forEach((item, index) => walk(item, `${path}/${index}`));
    if (typeof value !== "object" || value === null || Array.isArray(value)) return;
    if ("properties" in value && Reflect.get(value, "additionalProperties") !== false) open.push(path);
    const properties: unknown = Reflect.get(value, "properties") ?? {};
    for (const [key, property] of Object.entries(Object(properties))) {
      const text = JSON.stringify(property);
      if (!text.includes('"description"') && !text.includes('"const"')) mute.push(`${path}/${key}`);
    }
    for (const [key, inner] of Object.entries(value)) walk(inner, `${path}/${key}`);
  };
  walk(schema, "");
  expect({ open, mute }).toEqual({ open: [], mute: [] });
  expect(schema["$schema"]).toBe("https://json-schema.org/draft/2020-12/schema");
});

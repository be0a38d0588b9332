// One report of everything that is wrong, with places and without secrets.

import { expect, test } from "bun:test";
import { formatReport } from "#schema/issue.ts";
import {
  parseForTest,
  faultsOf,
  FILE,
  withDelivery,
  withEntrypoint,
  withSettings,
} from "./parse-for-test.ts";

const FAULTY = `{
  "logs": { "level": "info", "level": "debug" },
  "nats": { "auth": { "type": "user", "username": "relay", "password": 12345678 } },
  "endpoints": [
    { "name": "orders", "type": "jetstream", "consumer": { "stream": "ORDERS" } },
    { "name": "letters", "type": "jetstream" }
  ],
  "entrypoints": [
    {
      "type": "webhook",
      "qoss": "AUTO",
      "dlq": { "endpoint": "leters" },
      "configuration": { "http": { "readTimeout": 0 } }
    }
  ],
  "subscriptions": [
    { "id": "a b", "configuration": { "entrypointId": "webhook", "callbackUrl": { "env": "HOOK_URL" } } },
    { "id": "b", "configuration": { "callbackUrl": "ftp://hunter2@example.com" } }
  ]
}`;

test("parseConfig() reports faults of schema, references and secrets together, in the order of the file", async () => {
  const parsed = await parseForTest(FAULTY);
  if (parsed.kind === "valid") throw new Error("no fault was found");
  expect(formatReport("relay.config.json", parsed.issues)).toBe(
    [
      "relay.config.json is not valid, 9 faults:",
      "  relay.config.json:2:30 logs.level: duplicate key, first in line 2; delete one of them",
      '  relay.config.json:3:72 nats.auth.password: allowed: a string, { "env": "NAME" }, { "file": "/path" } or { "credential": "name" }; write it in quotes',
      '  relay.config.json:11:7 entrypoints[0].qoss: unknown key; did you mean "qos"?',
      '  relay.config.json:12:28 entrypoints[0].dlq.endpoint: no endpoint or endpoint group is named "leters"; did you mean "letters"?',
      "  relay.config.json:13:51 entrypoints[0].configuration.http.readTimeout: found 0, allowed: a whole number of milliseconds from 1 to 600000",
      '  relay.config.json:17:13 subscriptions[0].id: found a string of another form, allowed: 1 to 128 letters, digits, "-" and "_"; write "a-b"',
      "  relay.config.json:17:81 subscriptions[0].configuration.callbackUrl: the environment variable HOOK_URL is not set; set it where Relay runs; relay check --without-secrets does not look",
      "  relay.config.json:18:35 subscriptions[1].configuration.entrypointId: missing, allowed: 1 to 128 printable characters; it means: `id` of the entrypoint",
      "  relay.config.json:18:52 subscriptions[1].configuration.callbackUrl: allowed: a URL that begins with http:// or https://",
    ].join("\n"),
  );
});

test.each([
  ["a password of another type", { ...FILE, nats: { auth: { type: "token", value: ["hunter2hunter2"] } } }],
  ["a callback URL", withDelivery({ callbackUrl: "hunter2hunter2" })],
  ["a header value", withDelivery({ headers: [{ name: "X", value: "hunter2hunter2\n" }] })],
  ["a value beside its key", withDelivery({ auth: { type: "token", token: "hunter2hunter2" } })],
  [
    "a value under an unknown key",
    withDelivery({ auth: { type: "token", token: { valu: "hunter2hunter2" } } }),
  ],
  ["a number", withSettings({ http: { readTimeout: "hunter2hunter2" } })],
  ["a signature key", withDelivery({ signature: { secrets: ["hunter2hunter2"] } })],
  ["a server's URL", { ...FILE, nats: { servers: ["nats://a:hunter2hunter2@h"] } }],
])("parseConfig() withholds %s that may be a secret", async (_, file) => {
  const faults = await faultsOf(file);
  expect(faults).not.toEqual([]);
  expect(faults.join("\n")).not.toContain("hunter2");
});

test.each([
  ["a server's certificate that is elsewhere", { ...FILE, nats: { tls: { caFile: "ca.pem" } } }],
  ["the system's proxy", withSettings({ proxy: { enabled: true, useSystemProxy: true } })],
  ["references", withDelivery({ callbackUrl: { credential: "url" } })],
])("parseConfig() takes %s as given without secrets", async (_, file) => {
  expect(await faultsOf(file)).not.toEqual([]);
  expect(await faultsOf(file, { withoutSecrets: true })).toEqual([]);
});

test.each(["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"])(
  "parseConfig() finds the system proxy in %s",
  async (name) => {
    const file = withSettings({ proxy: { enabled: true, useSystemProxy: true } });
    expect(await faultsOf(file, { env: { [name]: "http://proxy:3128" } })).toEqual([]);
  },
);

test.each(["http://proxy:0", "http://", "ftp://proxy"])(
  "parseConfig() finds no system proxy in %s",
  async (url) => {
    const file = withSettings({ proxy: { enabled: true, useSystemProxy: true } });
    expect(await faultsOf(file, { env: { HTTP_PROXY: url } })).toEqual([
      expect.stringContaining("HTTP_PROXY in the environment is no proxy"),
    ]);
  },
);

test.each(["[::1]:8080", "127.1.2.3:80", "localhost:0"])(
  "parseConfig() takes %s for loopback",
  async (listen) => {
    expect(await faultsOf({ ...FILE, server: { listen } })).toEqual([]);
  },
);

test("parseConfig() finds an entrypoint by the other type name if only one can be meant", async () => {
  const file = { ...withDelivery({ entrypointId: "webhook-advanced" }), entrypoints: [{ type: "webhook" }] };
  expect(await faultsOf(file)).toEqual([]);
  const named = { ...file, entrypoints: [{ type: "webhook", id: "orders" }] };
  expect(await faultsOf(named)).toEqual([]);
});

test("parseConfig() does not report consequences of another fault", async () => {
  const file = { ...withEntrypoint({ dlq: { endpoint: "letters" } }), endpoints: [{ type: "jetstream" }] };
  expect(await faultsOf(file)).toEqual([
    "endpoints[0].name: missing, allowed: 1 to 128 printable characters",
  ]);
  expect(await faultsOf(withDelivery({ ssl: { trustStore: { type: "pem" } } }))).toEqual([
    'subscriptions[0].configuration.ssl.trustStore.type: found "pem", allowed: PEM, PKCS12, JKS, NONE',
  ]);
});

test("formatReport() ends after 100 faults", () => {
  const issues = Array.from({ length: 103 }, (_, index) => ({
    line: index + 1,
    column: 1,
    path: "",
    message: "x",
    suggestion: null,
    excerpt: null,
  }));
  const lines = formatReport("f", issues).split("\n");
  expect(lines).toHaveLength(102);
  expect(lines.at(-1)).toBe("  and 3 more");
});

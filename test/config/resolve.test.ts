// The valid file in delivery's words: defaults, joins, references.

import { expect, test } from "bun:test";
import { listUnshared } from "#config/warnings.ts";
import { toCreds } from "../support/creds.ts";
import { toSubscription } from "../support/subscription.ts";
import {
  configOf,
  FILE,
  type Json,
  LETTERS,
  SOURCE,
  warningsOf,
  withDelivery,
  withEntrypoint,
  withSettings,
} from "./parse-for-test.ts";

const first = async (file: Json, context = {}) => (await configOf(file, context)).subscriptions[0];

test("resolveConfig() fills in every default", async () => {
  const config = await configOf(FILE);
  expect(config).toMatchObject({
    nats: {
      servers: ["nats://127.0.0.1:4222"],
      auth: { kind: "none" },
      tls: null,
      inboxPrefix: "_INBOX",
      name: "relay edge",
    },
    server: {
      listen: { host: "127.0.0.1", port: 8080 },
      controlSocket: "/home/relay/.relay/relay.sock",
    },
    state: { directory: "/home/relay/.relay", bucket: "relay" },
    shutdown: { graceMs: 20_000 },
    logs: { level: "info" },
    entrypoints: [{ id: "webhook", contextPath: "/webhook", qos: "AUTO" }],
    endpointCount: 2,
    warnings: [],
  });
  expect(config.subscriptions).toEqual([
    toSubscription({
      id: "a",
      source: {
        domain: null,
        stream: "ORDERS",
        filterSubjects: ["orders.>"],
        deliverPolicy: { kind: "all" },
        ackWaitMs: 30_000,
      },
    }),
  ]);
});

test.each<[file: Json, systemName: string, name: string]>([
  [FILE, "edge", "edge"],
  [FILE, "the edge > of:it", "the-edge---of-it"],
  [FILE, "", "localhost"],
  [{ ...FILE, host: { name: "edge-7.berlin" } }, "edge", "edge-7.berlin"],
])("resolveConfig(%p) on the host %p: it is called %p, in NATS too", async (file, hostName, name) => {
  expect(await configOf(file, { hostName })).toMatchObject({
    host: { name },
    nats: { name: `relay ${name}` },
  });
});

test("resolveConfig() uses systemd's directories, and resolves relative ones beside the file", async () => {
  const env = { STATE_DIRECTORY: "/var/lib/relay:/var/lib/other", RUNTIME_DIRECTORY: "/run/relay" };
  expect(await configOf(FILE, { env })).toMatchObject({
    state: { directory: "/var/lib/relay" },
    server: { controlSocket: "/run/relay/relay.sock" },
  });
  const file = { ...FILE, state: { directory: "state" }, server: { controlSocket: "a.sock", listen: null } };
  expect(await configOf(file, { env })).toMatchObject({
    state: { directory: "/home/relay/state" },
    server: { controlSocket: "/home/relay/a.sock", listen: null },
  });
});

test("resolveConfig() reads creds again at each call of read()", async () => {
  let content = toCreds("first");
  const file = { ...FILE, nats: { auth: { type: "creds", content: { file: "relay.creds" } } } };
  const { auth } = (await configOf(file, { readFile: () => content })).nats;
  if (auth.kind !== "creds") throw new Error(auth.kind);
  content = toCreds("second");
  expect(auth.read()).toBe(content.trimEnd());
});

test("resolveSubscriptions() merges the settings of entrypoint and subscription", async () => {
  const file = {
    ...FILE,
    entrypoints: [
      {
        type: "webhook",
        configuration: {
          callbackUrl: "https://example.com/all",
          method: "PUT",
          headers: [
            { name: "X-A", value: "entrypoint" },
            { name: "X-B", value: "entrypoint" },
          ],
          retry: { retryOption: "Retry On Fail" },
          resume: { strategy: "AUTO" },
        },
      },
    ],
    subscriptions: [
      { id: "own", configuration: { entrypointId: "webhook", headers: [{ name: "x-a", value: "own" }] } },
      {
        id: "nested",
        status: "PAUSED",
        configuration: {
          entrypointId: "webhook-advanced",
          channel: "orders.new",
          entrypointConfiguration: {
            callbackUrl: "https://example.com/one",
            deliverPolicy: { startSequence: 7 },
            retry: { retryOption: "No Retry" },
          },
        },
      },
    ],
  };
  const [own, nested] = (await configOf(file)).subscriptions;
  expect(own?.callback).toMatchObject({
    displayUrl: "https://example.com/all",
    method: "PUT",
    headers: [
      ["X-B", "entrypoint"],
      ["x-a", "own"],
    ],
  });
  expect(own?.retry).toEqual({
    kind: "exponential",
    maxAttempts: 3,
    initialDelayMs: 1000,
    maxDelayMs: 60_000,
  });
  expect(own?.resume).toEqual({ kind: "auto", initialDelayMs: 5000, maxDelayMs: 300_000 });
  expect(nested).toMatchObject({
    isPaused: true,
    retry: { kind: "none" },
    source: { filterSubjects: ["orders.new"], deliverPolicy: { kind: "start-sequence", sequence: 7 } },
    callback: { displayUrl: "https://example.com/one", method: "PUT" },
  });
});

test.each<[string, { kind: "new" | "all" }, number]>([
  ["NONE", { kind: "new" }, 5],
  ["auto", { kind: "all" }, 5],
  ["at-least-once", { kind: "all" }, 1],
  ["AT_MOST_ONCE", { kind: "all" }, 1],
])(
  "resolveSubscriptions() starts %s where it should, with so many at once",
  async (qos, deliverPolicy, count) => {
    const subscription = await first(withEntrypoint({ qos }));
    expect(String(subscription?.qos)).toBe(qos.toUpperCase().replaceAll("-", "_"));
    expect(subscription?.source.deliverPolicy).toEqual(deliverPolicy);
    expect(subscription?.callback.maxConcurrentConnections).toBe(count);
  },
);

test("resolveSubscriptions() lists the endpoints of a dead-letter group in order", async () => {
  const second = {
    name: "hub",
    type: "jetstream",
    domain: "hub",
    producer: {
      stream: "HUB",
      subject: "hub.dead",
      create: true,
      maxAgeSeconds: 60,
      maxBytes: 1000,
      replicas: 3,
    },
  };
  const file = {
    ...withEntrypoint({ dlq: { endpoint: "both" } }),
    endpoints: [SOURCE, LETTERS, second],
    endpointGroups: [{ name: "both", endpoints: ["hub", "letters"] }],
  };
  expect((await first(file))?.deadLetters).toEqual([
    {
      name: "hub",
      domain: "hub",
      stream: "HUB",
      subject: "hub.dead",
      create: { maxAgeMs: 60_000, maxBytes: 1000, replicas: 3 },
    },
    { name: "letters", domain: null, stream: "LETTERS", subject: "letters", create: null },
  ]);
});

test("resolveSubscriptions() shows no query, and only the origin of a URL by reference", async () => {
  const inline = await configOf(withDelivery({ callbackUrl: "https://example.com/hook?token=s3cret-token" }));
  expect(inline.subscriptions[0]?.callback.displayUrl).toBe("https://example.com/hook");
  const env = { URL: "https://example.com/services/T000/B000/XXXX" };
  const referred = await configOf(withDelivery({ callbackUrl: { env: "URL" } }), { env });
  expect(referred.subscriptions[0]?.callback.displayUrl).toBe("https://example.com");
});

test("listWarnings() warns of written values, not of defaults", async () => {
  const http = { maxConcurrentConnections: 5 };
  expect(await warningsOf(withEntrypoint({ qos: "AT_LEAST_ONCE" }))).toEqual([]);
  expect(await warningsOf(withEntrypoint({ qos: "AT_LEAST_ONCE", configuration: { http } }))).toEqual([
    "entrypoints[0].configuration.http.maxConcurrentConnections: it counts as 1 under AT_LEAST_ONCE without an ordering.key",
  ]);
  expect(await warningsOf(withEntrypoint({ qos: "AT_MOST_ONCE" }))).toEqual([
    "entrypoints[0].qos: AT_MOST_ONCE holds for one relay only; where several share a subscription, the receiver must " +
      "check webhook-id",
  ]);
  expect(await warningsOf(withSettings({ http }))).toEqual([]);
});

test.each<[Json, readonly string[]]>([
  [{ readTimeout: 3000 }, []],
  [
    { readTimeout: 2999 },
    [
      "entrypoints[0].configuration.http.readTimeout: it is 2999 and counts the connecting too, so the connectTimeout of 3000 " +
        "is never reached",
    ],
  ],
  [{ connectTimeout: 100, readTimeout: 200 }, []],
])("listWarnings() warns of a read timeout below the connect timeout: %j", async (http, expected) => {
  expect(await warningsOf(withSettings({ http }))).toEqual(expected);
});

test.each<[string, Json, number, number]>([
  ["are not shared", { headers: [{ name: "X-Key", value: { env: "KEY" } }] }, 0, 1],
  [
    "are shared, with a secret",
    { headers: [{ name: "X-Key", value: { env: "KEY" } }], shareHeaders: true },
    1,
    0,
  ],
  [
    "are shared, without one",
    { headers: [{ name: "Accept", value: "text/plain" }], shareHeaders: true },
    0,
    0,
  ],
  ["are none", { headers: [] }, 0, 0],
])(
  "listWarnings() and listUnshared() tell of headers of an entrypoint that %s",
  async (_, entrypoint, warnings, notes) => {
    const { headers, ...more } = entrypoint;
    const file = withEntrypoint({ ...more, configuration: { headers } });
    const config = await configOf(file, { env: { KEY: "key-of-the-operator" } });
    expect(config.warnings).toHaveLength(warnings);
    for (const { path } of config.warnings) expect(path).toBe("entrypoints[0].shareHeaders");
    const unshared = listUnshared(config.origin.file);
    expect(unshared).toHaveLength(notes);
    for (const line of unshared) expect(line).toStartWith("entrypoints[0].configuration.headers: ");
  },
);

test("listWarnings() warns of a server token under 16 characters, by whatever reference, and does not show it", async () => {
  const tokenWarnings = (value: unknown, env: Readonly<Record<string, string>> = {}) =>
    warningsOf({ ...FILE, server: { auth: { type: "token", value } } }, { env });
  const warning =
    "server.auth.value: the token has 15 characters and can be guessed; give it 16 or more: openssl rand -base64 32";
  expect(await tokenWarnings("a".repeat(15))).toEqual([warning]);
  expect(await tokenWarnings({ env: "TOKEN" }, { TOKEN: "a".repeat(15) })).toEqual([warning]);
  expect(await tokenWarnings("a".repeat(16))).toEqual([]);
});

const NO_TLS =
  "server.listen: 0.0.0.0:80 has no TLS: others on the network can read the credentials of callers";
const NO_TLS_KEYS = "server.auth.jwksUri: without TLS, an attacker who changes the answer can sign in";

test.each<[string, string, string, readonly string[]]>([
  ["on a loopback address", "127.0.0.1:80", "https://keys.example.com/", []],
  ["open to others", "0.0.0.0:80", "https://keys.example.com/", [NO_TLS]],
  ["with keys of others", "[::1]:80", "http://keys.example.com/", [NO_TLS_KEYS]],
  ["with keys of this host", "localhost:80", "http://[::1]:8080/keys", []],
  ["open to others, with keys of others", "0.0.0.0:80", "http://10.0.0.1/", [NO_TLS, NO_TLS_KEYS]],
])("listWarnings() warns of missing TLS: a listener %s", async (_, listen, jwksUri, expected) => {
  const auth = { type: "jwt", jwksUri, issuer: "i", audience: "a" };
  expect(await warningsOf({ ...FILE, server: { listen, auth } })).toEqual([...expected]);
});

test("resolveConfig() takes filter, transform and format from the subscription, else from the entrypoint", async () => {
  const configuration = { filter: "true", transform: { body: "body" }, format: "cloudevents-binary" };
  const entrypoint = withSettings(configuration);
  expect((await first(entrypoint))?.shape).toMatchObject({
    filter: "true",
    body: "body",
    format: configuration.format,
  });
  const own = {
    ...withDelivery({ filter: "false", transform: { path: "[1]" } }),
    entrypoints: entrypoint["entrypoints"],
  };
  expect((await first(own))?.shape).toMatchObject({
    filter: "false",
    body: null,
    path: "[1]",
    format: configuration.format,
  });
});

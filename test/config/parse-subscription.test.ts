// What the API takes for a subscription: the same as the file, with the same faults, but with inline values only.

import { expect, test } from "bun:test";
import {
  parseSubscription,
  type ParsedSubscription,
  type SubscriptionScope,
} from "#config/parse-subscription.ts";
import type { Header } from "#delivery/message.ts";
import { createIterationBudget, limitTo } from "#keystore/budget.ts";
import { configOf, EMPTY_CONTEXT, FILE, type Json, withEntrypoint } from "./parse-for-test.ts";
import { RSA_KEY, ROOT } from "./pem-fixtures.ts";
import { MODERN_PKCS12, STORE_PASSWORD } from "./store-fixtures.ts";

const SCOPE: Omit<SubscriptionScope, "budget"> = {
  origin: (await configOf(FILE)).origin,
  id: null,
  takenIds: new Set(),
  former: null,
  now: new Date("2026-06-01T00:00:00Z"),
};
const NEEDED = { entrypointId: "webhook", callbackUrl: "https://example.com/hook" };
const INLINE_ONLY = "a subscription made by API takes inline values only";

function parse(body: unknown, scope: Partial<SubscriptionScope> = {}): Promise<ParsedSubscription> {
  const budget = createIterationBudget([], new AbortController().signal);
  return parseSubscription(body, { ...SCOPE, budget, ...scope });
}

/** What stands under `configuration`, beside what is needed. */
function delivery(configuration: Json): Json {
  return { id: "b", configuration: { ...NEEDED, ...configuration } };
}

async function valid(body: unknown, scope: Partial<SubscriptionScope> = {}) {
  const parsed = await parse(body, scope);
  if (parsed.kind === "valid") return parsed;
  throw new Error(JSON.stringify(parsed));
}

async function faultsOf(body: unknown, scope: Partial<SubscriptionScope> = {}): Promise<readonly string[]> {
  const parsed = await parse(body, scope);
  if (parsed.kind !== "invalid") return [parsed.kind];
  return parsed.faults.map(({ path, message }) => `${path}: ${message}`);
}

test("parseSubscription() reports all faults at once, with paths below the body", async () => {
  const body = {
    id: "a b",
    aplication: "x",
    startingAt: "2026-02-01T00:00:00Z",
    endingAt: "2026-01-01T00:00:00Z",
    configuration: {
      entrypointId: "orders",
      callbackUrl: "ftp://example.com",
      headers: [{ name: "Host", value: "x" }],
      signature: { secrets: ["whsec_short"] },
    },
  };
  expect(await faultsOf(body)).toEqual([
    'id: found a string of another form, allowed: 1 to 128 letters, digits, "-" and "_"; write "a-b"',
    'aplication: unknown key; did you mean "application"?',
    "endingAt: allowed: a time after startingAt",
    'configuration.entrypointId: no entrypoint is named "orders", known: "webhook"',
    "configuration.callbackUrl: allowed: a URL that begins with http:// or https://",
    "configuration.headers[0].name: Host is set by Relay itself; leave it out",
    "configuration.signature.secrets[0]: allowed: whsec_ and 24 to 64 bytes in base64, or whsk_ and 32 or 64 bytes in base64",
  ]);
});

test("parseSubscription() refuses invalid credentials, and a time that does not exist", async () => {
  const auth = { type: "token", token: { value: "hunter2\n" } };
  expect(await faultsOf(delivery({ auth, deliverPolicy: { startTime: "2020-02-31T00:00:00Z" } }))).toEqual([
    "configuration.deliverPolicy.startTime: this time does not exist",
    "configuration.auth.token.value: allowed: a token that is not empty, of Latin-1 characters without line breaks and other control characters",
  ]);
});

test.each([5, null, { envv: "HOOK" }, { env: "", file: "/hook" }])(
  "parseSubscription() names no reference as allowed where it found %j",
  async (value) => {
    const faults = await faultsOf(delivery({ callbackUrl: value, headers: [{ name: "X-Key", value }] }));
    expect(faults).toEqual([
      expect.stringMatching(/^configuration\.callbackUrl: allowed: a plain string(?:$|; )/u),
      expect.stringMatching(/^configuration\.headers\[0\]\.value: allowed: a plain string(?:$|; )/u),
    ]);
    expect(faults.join()).not.toContain("env");
  },
);

test.each<[string, unknown, string]>([
  ["no body", undefined, ": found nothing, allowed: an object"],
  ["a list", [], ": found a list, allowed: an object"],
  ["a channel outside the endpoint's subjects", delivery({ channel: "x" }), "configuration.channel: "],
  [
    "no callback URL anywhere",
    { id: "b", configuration: { entrypointId: "webhook" } },
    "configuration.callbackUrl: missing",
  ],
  ["no id", { configuration: NEEDED }, "id: missing"],
  [
    "settings in the nested form",
    { id: "b", configuration: { entrypointId: "webhook", entrypointConfiguration: { callbackUrl: "x" } } },
    "configuration.entrypointConfiguration.callbackUrl: allowed",
  ],
])("parseSubscription() refuses %s", async (_, body, fault) => {
  expect(await faultsOf(body)).toEqual([expect.stringContaining(fault)]);
});

test("parseSubscription() uses the id of the address, and refuses another one in the body", async () => {
  expect((await valid({ configuration: NEEDED }, { id: "b" })).entry.id).toBe("b");
  expect((await valid({ id: "b", configuration: NEEDED }, { id: "b" })).subscription.id).toBe("b");
  expect(await faultsOf({ id: "c", configuration: NEEDED }, { id: "b" })).toEqual([
    "id: allowed: the id that the address names, or none",
  ]);
  expect(await faultsOf([], { id: "b" })).toEqual([
    expect.stringContaining(": found a list, allowed: an object with id, application"),
  ]);
  expect(await faultsOf({ configuration: NEEDED }, { id: "b c" })).toEqual([
    expect.stringContaining("id: found"),
  ]);
});

test("parseSubscription() reports a taken id only if there is no other fault", async () => {
  const takenIds = new Set(["b"]);
  expect(await parse(delivery({}), { takenIds })).toEqual({ kind: "taken", id: "b" });
  expect((await parse(delivery({ callbackUrl: "x" }), { takenIds })).kind).toBe("invalid");
});

test("parseSubscription() works beside a subscription of the file without an id", async () => {
  const { origin } = await configOf({ ...FILE, subscriptions: [{ configuration: NEEDED }] });
  expect((await valid(delivery({}), { origin })).subscription.id).toBe("b");
});

const jwt = (keySource: string, keyContent: unknown, more: Json = {}) => ({
  auth: {
    type: "jwtProfileOauth2",
    jwtProfileOauth2: {
      issuer: "relay",
      subject: "relay",
      audience: "https://auth.example.com/",
      signatureAlgorithm: "RSA_RS256",
      keySource,
      keyContent,
      ...more,
    },
  },
});
const pem = (more: Json) => ({ ssl: { keyStore: { type: "PEM", ...more } } });

test.each<[string, Json, readonly string[]]>([
  ["a variable", { callbackUrl: { env: "HOOK" } }, ["callbackUrl"]],
  ["a file", { headers: [{ name: "X", value: { file: "/etc/hostname" } }] }, ["headers[0].value"]],
  ["a credential", { auth: { type: "token", token: { value: { credential: "a" } } } }, ["auth.token.value"]],
  [
    "references of all kinds",
    { callbackUrl: { env: "HOOK" }, signature: { secrets: [{ file: "a" }, { credential: "b" }] } },
    ["callbackUrl", "signature.secrets[0]", "signature.secrets[1]"],
  ],
  [
    "the path of a trust store",
    { ssl: { trustStore: { type: "PEM", path: "ca.pem" } } },
    ["ssl.trustStore.path"],
  ],
  [
    "the path of a locked trust store",
    { ssl: { trustStore: { type: "JKS", path: "/ca.jks", password: "password" } } },
    ["ssl.trustStore.path"],
  ],
  [
    "the path of a key store",
    { ssl: { keyStore: { type: "PKCS12", path: "a.p12", password: "password" } } },
    ["ssl.keyStore.path"],
  ],
  ["the path of a key", pem({ keyPath: "a.key", certContent: ROOT }), ["ssl.keyStore.keyPath"]],
  ["the path of a certificate", pem({ keyContent: RSA_KEY, certPath: "a.pem" }), ["ssl.keyStore.certPath"]],
  [
    "the path of both",
    pem({ keyPath: "a.key", certPath: "a.pem" }),
    ["ssl.keyStore.keyPath", "ssl.keyStore.certPath"],
  ],
  ["the path of a signing key", jwt("PEM", "/keys/a.pem"), ["auth.jwtProfileOauth2.keyContent"]],
  [
    "the path of a signing key in a store",
    jwt("JKS", "/keys/a.jks", { keystoreOptions: { storePassword: "password" } }),
    ["auth.jwtProfileOauth2.keyContent"],
  ],
])("parseSubscription() refuses %s, and looks nothing up", async (_, configuration, paths) => {
  const looked: string[] = [];
  const env = { HOOK: "https://example.com/", CREDENTIALS_DIRECTORY: "/run/credentials" };
  const readFile = (path: string) => {
    looked.push(path);
    return ROOT;
  };
  const readBytes = (path: string) => Buffer.from(readFile(path));
  const origin = { ...SCOPE.origin, context: { ...EMPTY_CONTEXT, env, readFile, readBytes } };
  const flat = await faultsOf(delivery(configuration), { origin });
  expect(flat).toEqual(paths.map((path) => `configuration.${path}: ${INLINE_ONLY}`));
  const { entrypointId, callbackUrl } = NEEDED;
  const entrypointConfiguration = { callbackUrl, ...configuration };
  const nested = { id: "b", configuration: { entrypointId, entrypointConfiguration } };
  expect(await faultsOf(nested, { origin })).toEqual(
    paths.map((path) => `configuration.entrypointConfiguration.${path}: ${INLINE_ONLY}`),
  );
  expect(looked).toEqual([]);
});

test("parseSubscription() accepts inline keys and certificates", async () => {
  const { subscription } = await valid(
    delivery({ ...jwt("PEM", RSA_KEY), ssl: { trustStore: { type: "PEM", content: ROOT } } }),
  );
  expect(subscription.callback.route.tls.trusted).toHaveLength(1);
  expect(subscription.callback.auth).toMatchObject({ kind: "jwt-profile" });
});

test("parseSubscription() sets the deliver policy new unless the body has one", async () => {
  const startOf = async (body: unknown, scope: Partial<SubscriptionScope> = {}) =>
    (await valid(body, scope)).subscription.source.deliverPolicy.kind;
  const nested = (more: Json) => ({
    id: "b",
    configuration: {
      entrypointId: "webhook",
      entrypointConfiguration: { callbackUrl: "http://a/", ...more },
    },
  });
  expect(await startOf(delivery({}))).toBe("new");
  expect(await startOf(nested({}))).toBe("new");
  expect(await startOf(delivery({ deliverPolicy: "all" }))).toBe("all");
  expect(await startOf(nested({ deliverPolicy: { startSequence: 7 } }))).toBe("start-sequence");
});

test("parseSubscription() denies private addresses in addition to the rules of the file", async () => {
  const { origin } = await configOf({ ...FILE, callbacks: { allow: ["10.1.0.0/16"] } });
  expect((await valid(delivery({}), { origin })).subscription.callback.route.addresses).toEqual({
    allow: ["10.1.0.0/16"],
    deny: [],
    deniesPrivate: true,
  });
});

test("parseSubscription() uses the entrypoint's references as they were at load", async () => {
  const settings = {
    callbackUrl: { env: "HOOK" },
    headers: [{ name: "X-Key", value: { env: "KEY" } }],
    http: { readTimeout: 1234 },
  };
  const file = withEntrypoint({ shareHeaders: true, configuration: settings });
  const { origin: loaded } = await configOf(file, {
    env: { HOOK: "https://example.com/from-env", KEY: "entrypoint-key" },
  });
  const origin = { ...loaded, context: EMPTY_CONTEXT };
  const { subscription } = await valid({ id: "b", configuration: { entrypointId: "webhook" } }, { origin });
  expect(subscription.callback).toMatchObject({
    headers: [["X-Key", "entrypoint-key"]],
    readTimeoutMs: 1234,
  });
  expect(subscription.callback.url.href).toBe("https://example.com/from-env");
});

test.each<[string, Json, readonly Header[]]>([
  ["none of them", {}, []],
  ["them where the entrypoint shares them", { shareHeaders: true }, [["X-Key", "key-of-the-operator"]]],
])("parseSubscription() inherits of its entrypoint's headers %s", async (_, more, expected) => {
  const headers = [{ name: "X-Key", value: "key-of-the-operator" }];
  const { origin } = await configOf(withEntrypoint({ ...more, configuration: { headers } }));
  const own = { name: "X-Own", value: "own" };
  const { headers: sent, secrets } = (await valid(delivery({ headers: [own] }), { origin })).subscription
    .callback;
  expect(sent).toEqual([...expected, ["X-Own", "own"]]);
  expect(secrets.includes("key-of-the-operator")).toBe(expected.length > 0);
});

test("parseSubscription() uses the proxy of the environment, as its entrypoint asks", async () => {
  const file = withEntrypoint({ configuration: { proxy: { enabled: true, useSystemProxy: true } } });
  const { origin } = await configOf(file, { env: { HTTPS_PROXY: "http://proxy.example.com:3128" } });
  expect((await valid(delivery({}), { origin })).subscription.callback.route.proxy).toMatchObject({
    kind: "system",
    https: { host: "proxy.example.com" },
  });
});

test.each<[string, Json, boolean]>([
  ["a callback URL and a user name alone", { callbackUrl: "https://example.com/hook?a=b" }, false],
  ["a plain header", { headers: [{ name: "Accept", value: "text/plain" }] }, false],
  ["another header", { headers: [{ name: "X-Key", value: "1" }] }, true],
  ["a token", { auth: { type: "token", token: { value: "hunter2hunter2" } } }, true],
])("parseSubscription() knows whether %s are secrets", async (_, configuration, hasSecrets) => {
  expect((await valid(delivery(configuration))).hasSecrets).toBe(hasSecrets);
});

test("parseSubscription() warns with paths below the body", async () => {
  expect((await valid(delivery({ ssl: { trustAll: true } }))).warnings).toEqual([
    "configuration.ssl.trustAll: it accepts any certificate",
  ]);
});

test("parseSubscription() warns by the time of the request, not of the load", async () => {
  const payload = Buffer.from(JSON.stringify({ exp: Date.parse("2026-03-01T00:00:00Z") / 1000 }));
  const token = `eyJhbGciOiJIUzI1NiJ9.${payload.toString("base64url")}.c2lnbmF0dXJl`;
  const body = delivery({ auth: { type: "token", token: { value: token } } });
  expect((await valid(body)).warnings).toEqual([expect.stringContaining("configuration.auth.token.value: ")]);
  expect((await valid(body, { now: EMPTY_CONTEXT.now })).warnings).toEqual([]);
});

test.each<[string, unknown, string]>([
  [
    "deeper than it can be",
    JSON.parse("[".repeat(100_000) + "]".repeat(100_000)),
    ": nested deeper than 20 levels",
  ],
  [
    "larger than a bucket takes",
    { ...delivery({}), metadata: { note: "n".repeat(600_000) } },
    ": found 6001",
  ],
])("parseSubscription() refuses a body %s", async (_, body, fault) => {
  expect(await faultsOf(body)).toEqual([expect.stringContaining(fault)]);
});

test("parseSubscription() reports at most a hundred faults, each cut to its limit", async () => {
  const body = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`k${index}`, 1]));
  expect(await faultsOf(body)).toHaveLength(100);
  expect((await faultsOf({ ...delivery({}), ["k".repeat(100_000)]: 1 })).join("").length).toBeLessThan(500);
});

const STORE = { ssl: { trustStore: { type: "PKCS12", content: MODERN_PKCS12, password: STORE_PASSWORD } } };
/** Its check of the password, its certificates; the key stays closed. */
const STORE_ITERATIONS = 2 * 2048;

test("parseSubscription() names the store that costs too much, and the limit", async () => {
  const { signal } = new AbortController();
  const budget = createIterationBudget([limitTo(STORE_ITERATIONS - 1, "those of this test")], signal);
  expect(await faultsOf(delivery(STORE), { budget })).toEqual([
    `configuration.ssl.trustStore.content: cannot read the store: its passwords take too many iterations: those of this test may take ${STORE_ITERATIONS - 1} in all`,
  ]);
});

test("parseSubscription() does not open an unchanged store again", async () => {
  const first = await valid(delivery(STORE));
  expect(first.iterations).toBe(STORE_ITERATIONS);
  const { signal } = new AbortController();
  const computed: number[] = [];
  const budget = { ...createIterationBudget([], signal), spend: (more: number) => computed.push(more) };
  const again = await valid(delivery({ ...STORE, method: "PUT" }), { former: first.stores, budget });
  expect(again.subscription.callback.route.tls).toEqual(first.subscription.callback.route.tls);
  expect([again.iterations, computed]).toEqual([STORE_ITERATIONS, []]);
  const other = { ssl: { trustStore: { ...STORE.ssl.trustStore, password: "another" } } };
  expect(await faultsOf(delivery(other), { former: first.stores })).toEqual([
    "configuration.ssl.trustStore.password: it is not the password of the store",
  ]);
});

test("parseSubscription() accepts expressions only if the entrypoint allows them, and a format always", async () => {
  const expressions = {
    filter: "true",
    transform: { body: "body", headers: [{ name: "X-A", value: "1" }] },
    format: "cloudevents-binary",
    cloudEvents: { source: "/mine", type: "=subject" },
  };
  const refused = "expressions are not allowed by API here: the entrypoint has no allowExpressions";
  const faults = ["filter", "transform.body", "transform.headers[0].value", "cloudEvents.type"];
  expect(await faultsOf(delivery(expressions))).toEqual(
    faults.map((path) => `configuration.${path}: ${refused}`),
  );
  const { origin } = await configOf(withEntrypoint({ allowExpressions: true }));
  const { subscription } = await valid(delivery(expressions), { origin });
  expect(subscription.shape).toMatchObject({
    filter: "true",
    body: "body",
    source: "/mine",
    type: "=subject",
  });
  const plain = await valid(delivery({ format: "cloudevents-binary", cloudEvents: { source: "/mine" } }));
  expect(plain.subscription.shape).toMatchObject({ format: "cloudevents-binary", source: "/mine" });
});

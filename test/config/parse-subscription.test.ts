// What the API takes for a subscription: the same as the file, with the same faults, but with inline values only.

import { expect, test } from "bun:test";
import {
  parseSubscription,
  type ParsedSubscription,
  type SubscriptionScope,
} from "#config/parse-subscription.ts";
import { configOf, EMPTY_CONTEXT, FILE, type Json, withEntrypoint, withSettings } from "./parse-for-test.ts";
import { RSA_KEY, ROOT } from "./pem-fixtures.ts";

const SCOPE: SubscriptionScope = {
  origin: configOf(FILE).origin,
  id: null,
  takenIds: new Set(),
  now: new Date("2026-06-01T00:00:00Z"),
};
const NEEDED = { entrypointId: "webhook", callbackUrl: "https://example.com/hook" };
const INLINE_ONLY = "a subscription made by API takes inline values only";

function parse(body: unknown, scope: Partial<SubscriptionScope> = {}): ParsedSubscription {
  return parseSubscription(body, { ...SCOPE, ...scope });
}

/** What stands under `configuration`, beside what is needed. */
function delivery(configuration: Json): Json {
  return { id: "b", configuration: { ...NEEDED, ...configuration } };
}

function valid(body: unknown, scope: Partial<SubscriptionScope> = {}) {
  const parsed = parse(body, scope);
  if (parsed.kind === "valid") return parsed;
  throw new Error(JSON.stringify(parsed));
}

function faultsOf(body: unknown, scope: Partial<SubscriptionScope> = {}): readonly string[] {
  const parsed = parse(body, scope);
  if (parsed.kind !== "invalid") return [parsed.kind];
  return parsed.faults.map(({ path, message }) => `${path}: ${message}`);
}

test("parseSubscription() reports all faults at once, with paths below the body", () => {
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
  expect(faultsOf(body)).toEqual([
    'id: found a string of another form, allowed: 1 to 128 letters, digits, "-" and "_"',
    'aplication: unknown key, did you mean "application"?',
    "endingAt: allowed: a time after startingAt",
    'configuration.entrypointId: no entrypoint is named "orders", known: "webhook"',
    "configuration.callbackUrl: allowed: a URL that begins with http:// or https://",
    "configuration.headers[0].name: Host is set by Relay itself",
    "configuration.signature.secrets[0]: allowed: whsec_ and 24 to 64 bytes in base64, or whsk_ and 32 or 64 bytes in base64",
  ]);
});

test("parseSubscription() refuses what a sign-in cannot be made of, and a time that is none", () => {
  const auth = { type: "token", token: { value: "hunter2\n" } };
  expect(faultsOf(delivery({ auth, deliverPolicy: { startTime: "2020-02-31T00:00:00Z" } }))).toEqual([
    "configuration.deliverPolicy.startTime: there is no such time",
    "configuration.auth.token.value: allowed: a token that is not empty, of Latin-1 characters without line breaks and other control characters",
  ]);
});

test.each([5, null, { envv: "HOOK" }, { env: "", file: "/hook" }])(
  "parseSubscription() names no reference as allowed where it found %j",
  (value) => {
    expect(faultsOf(delivery({ callbackUrl: value, headers: [{ name: "X-Key", value }] }))).toEqual([
      "configuration.callbackUrl: allowed: a plain string",
      "configuration.headers[0].value: allowed: a plain string",
    ]);
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
])("parseSubscription() refuses %s", (_, body, fault) => {
  expect(faultsOf(body)).toEqual([expect.stringContaining(fault)]);
});

test("parseSubscription() takes the id of the address, which that of the body must not contradict", () => {
  expect(valid({ configuration: NEEDED }, { id: "b" }).entry.id).toBe("b");
  expect(valid({ id: "b", configuration: NEEDED }, { id: "b" }).subscription.id).toBe("b");
  expect(faultsOf({ id: "c", configuration: NEEDED }, { id: "b" })).toEqual([
    "id: allowed: the id that the address names, or none",
  ]);
  expect(faultsOf([], { id: "b" })).toEqual([": found a list, allowed: an object"]);
  expect(faultsOf({ configuration: NEEDED }, { id: "b c" })).toEqual([expect.stringContaining("id: found")]);
});

test("parseSubscription() tells of a taken id once nothing else is at fault", () => {
  const takenIds = new Set(["b"]);
  expect(parse(delivery({}), { takenIds })).toEqual({ kind: "taken", id: "b" });
  expect(parse(delivery({ callbackUrl: "x" }), { takenIds }).kind).toBe("invalid");
});

test("parseSubscription() does not mind that the file has a subscription without an id", () => {
  const { origin } = configOf({ ...FILE, subscriptions: [{ configuration: NEEDED }] });
  expect(valid(delivery({}), { origin }).subscription.id).toBe("b");
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
])("parseSubscription() refuses %s, and looks nothing up", (_, configuration, paths) => {
  const looked: string[] = [];
  const env = { HOOK: "https://example.com/", CREDENTIALS_DIRECTORY: "/run/credentials" };
  const readFile = (path: string) => {
    looked.push(path);
    return ROOT;
  };
  const readBytes = (path: string) => Buffer.from(readFile(path));
  const origin = { ...SCOPE.origin, context: { ...EMPTY_CONTEXT, env, readFile, readBytes } };
  const flat = faultsOf(delivery(configuration), { origin });
  expect(flat).toEqual(paths.map((path) => `configuration.${path}: ${INLINE_ONLY}`));
  const { entrypointId, callbackUrl } = NEEDED;
  const entrypointConfiguration = { callbackUrl, ...configuration };
  const nested = { id: "b", configuration: { entrypointId, entrypointConfiguration } };
  expect(faultsOf(nested, { origin })).toEqual(
    paths.map((path) => `configuration.entrypointConfiguration.${path}: ${INLINE_ONLY}`),
  );
  expect(looked).toEqual([]);
});

test("parseSubscription() takes keys and certificates that stand in the body", () => {
  const { subscription } = valid(
    delivery({ ...jwt("PEM", RSA_KEY), ssl: { trustStore: { type: "PEM", content: ROOT } } }),
  );
  expect(subscription.callback.route.tls.trusted).toHaveLength(1);
  expect(subscription.callback.auth).toMatchObject({ kind: "jwt-profile" });
});

test("parseSubscription() starts where the stream is now, unless the body says otherwise", () => {
  const startOf = (body: unknown, scope: Partial<SubscriptionScope> = {}) =>
    valid(body, scope).subscription.source.deliverPolicy.kind;
  const nested = (more: Json) => ({
    id: "b",
    configuration: {
      entrypointId: "webhook",
      entrypointConfiguration: { callbackUrl: "http://a/", ...more },
    },
  });
  expect(startOf(delivery({}))).toBe("new");
  expect(startOf(nested({}))).toBe("new");
  expect(startOf(delivery({ deliverPolicy: "all" }))).toBe("all");
  expect(startOf(nested({ deliverPolicy: { startSequence: 7 } }))).toBe("start-sequence");
});

test("parseSubscription() denies private addresses, beside the rules of the file", () => {
  const { origin } = configOf({ ...FILE, callbacks: { allow: ["10.1.0.0/16"] } });
  expect(valid(delivery({}), { origin }).subscription.callback.route.addresses).toEqual({
    allow: ["10.1.0.0/16"],
    deny: [],
    deniesPrivate: true,
  });
});

test("parseSubscription() joins it with its entrypoint, whose references lead where they led at load", () => {
  const file = withSettings({
    callbackUrl: { env: "HOOK" },
    headers: [{ name: "X-Key", value: { env: "KEY" } }],
    http: { readTimeout: 1234 },
  });
  const { origin: loaded } = configOf(file, {
    env: { HOOK: "https://example.com/from-env", KEY: "entrypoint-key" },
  });
  const origin = { ...loaded, context: EMPTY_CONTEXT };
  const { subscription } = valid({ id: "b", configuration: { entrypointId: "webhook" } }, { origin });
  expect(subscription.callback).toMatchObject({
    headers: [["X-Key", "entrypoint-key"]],
    readTimeoutMs: 1234,
  });
  expect(subscription.callback.url.href).toBe("https://example.com/from-env");
});

test("parseSubscription() uses the proxy of the environment, as its entrypoint asks", () => {
  const file = withEntrypoint({ configuration: { proxy: { enabled: true, useSystemProxy: true } } });
  const { origin } = configOf(file, { env: { HTTPS_PROXY: "http://proxy.example.com:3128" } });
  expect(valid(delivery({}), { origin }).subscription.callback.route.proxy).toMatchObject({
    kind: "system",
    https: { host: "proxy.example.com" },
  });
});

test.each<[string, Json, boolean]>([
  ["a callback URL and a user name alone", { callbackUrl: "https://example.com/hook?a=b" }, false],
  ["a plain header", { headers: [{ name: "Accept", value: "text/plain" }] }, false],
  ["another header", { headers: [{ name: "X-Key", value: "1" }] }, true],
  ["a token", { auth: { type: "token", token: { value: "hunter2hunter2" } } }, true],
])("parseSubscription() tells of %s whether they are secret", (_, configuration, hasSecrets) => {
  expect(valid(delivery(configuration)).hasSecrets).toBe(hasSecrets);
});

test("parseSubscription() warns with paths below the body", () => {
  expect(valid(delivery({ ssl: { trustAll: true } })).warnings).toEqual([
    "configuration.ssl.trustAll: it accepts any certificate",
  ]);
});

test("parseSubscription() warns by the time of the request, not of the load", () => {
  const payload = Buffer.from(JSON.stringify({ exp: Date.parse("2026-03-01T00:00:00Z") / 1000 }));
  const token = `eyJhbGciOiJIUzI1NiJ9.${payload.toString("base64url")}.c2lnbmF0dXJl`;
  const body = delivery({ auth: { type: "token", token: { value: token } } });
  expect(valid(body).warnings).toEqual([expect.stringContaining("configuration.auth.token.value: ")]);
  expect(valid(body, { now: EMPTY_CONTEXT.now }).warnings).toEqual([]);
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
])("parseSubscription() refuses a body %s", (_, body, fault) => {
  expect(faultsOf(body)).toEqual([expect.stringContaining(fault)]);
});

test("parseSubscription() reports a hundred faults of many, in few words", () => {
  const body = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`k${index}`, 1]));
  expect(faultsOf(body)).toHaveLength(100);
  expect(faultsOf({ ...delivery({}), ["k".repeat(100_000)]: 1 }).join("").length).toBeLessThan(500);
});

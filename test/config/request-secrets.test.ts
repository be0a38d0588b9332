// What must not be shown where an answer repeats it: what goes along in the requests of this subscription, and no more.

import { expect, test } from "bun:test";
import { parseSubscription } from "#config/parse-subscription.ts";
import type { CallbackSettings } from "#delivery/callback.ts";
import { createIterationBudget } from "#keystore/budget.ts";
import { configOf, EMPTY_CONTEXT, FILE, type Json, withDelivery } from "./parse-for-test.ts";
import { RSA_KEY } from "./pem-fixtures.ts";

const toBase64 = (text: string) => Buffer.from(text).toString("base64");
const URL_OF_FILE = "https://example.com/hook?k=query-of-file";
const PROXY = { host: "proxy", port: 3128, username: "relay", password: "proxy-password" };

async function ofFile(file: Json, env: Readonly<Record<string, string>> = {}): Promise<CallbackSettings> {
  const [subscription] = (await configOf(file, { env })).subscriptions;
  if (subscription === undefined) throw new Error("There is no subscription");
  return subscription.callback;
}

/** Of a subscription made by API beside a file with this entrypoint. */
async function ofApi(configuration: Json, entrypoint: Json = {}, top: Json = {}): Promise<CallbackSettings> {
  const { origin } = await configOf({
    ...FILE,
    ...top,
    entrypoints: [{ type: "webhook", endpoint: "orders", configuration: entrypoint }],
  });
  const body = { id: "b", configuration: { entrypointId: "webhook", ...configuration } };
  const budget = createIterationBudget([], new AbortController().signal);
  const { now } = EMPTY_CONTEXT;
  const scope = { origin, id: null, takenIds: new Set<string>(), now, budget, former: null };
  const parsed = await parseSubscription(body, scope);
  if (parsed.kind !== "valid") throw new Error(JSON.stringify(parsed));
  return parsed.subscription.callback;
}

test.each<[string, Json, readonly string[]]>([
  ["nothing where there is none", {}, []],
  [
    "no user name, media type and URL that the file spells out",
    {
      callbackUrl: "https://example.com/hooks/orders",
      headers: [{ name: "accept", value: "application/json" }],
    },
    [],
  ],
  [
    "a query, and each value of it",
    { callbackUrl: "https://example.com/?a=one&b=two%26" },
    ["a=one&b=two%26", "one", "two&"],
  ],
  [
    "a URL by reference, but not its origin",
    { callbackUrl: { env: "URL" } },
    ["https://example.com/services/T000/B000/XXXX", "/services/T000/B000/XXXX"],
  ],
  ["nothing of an origin by reference", { callbackUrl: { env: "ORIGIN" } }, []],
  [
    "a header, and what follows its scheme",
    { headers: [{ name: "X", value: "Bearer abc" }] },
    ["Bearer abc", "abc"],
  ],
  [
    "a password, alone and as it is sent",
    { auth: { type: "basic", basic: { username: "u", password: "word" } } },
    ["word", toBase64("u:word")],
  ],
  ["a fixed token", { auth: { type: "token", token: { value: "fixed-token" } } }, ["fixed-token"]],
  [
    "a client secret, also as in a form, and the query of its endpoint",
    { auth: { type: "oauth2", oauth2: { endpoint: "https://a/?q=1", clientId: "c", clientSecret: "s/x" } } },
    ["s/x", "s%2Fx", toBase64("c:s%2Fx"), "q=1", "1"],
  ],
  [
    "parameters of a token request, also as in a form",
    {
      auth: {
        type: "oauth2",
        oauth2: {
          endpoint: "https://a/",
          clientId: "c",
          clientSecret: "s",
          audience: "https://api/",
          parameters: [{ name: "key", value: "p/x" }],
        },
      },
    },
    ["s", "p/x", toBase64("c:s"), "p%2Fx"],
  ],
  [
    "keys of signatures, also without their prefix",
    { signature: { secrets: [`whsec_${toBase64("k".repeat(32))}`] } },
    [`whsec_${toBase64("k".repeat(32))}`, toBase64("k".repeat(32))],
  ],
])("resolveCallback() lists %s", async (_, configuration, expected) => {
  const env = { URL: "https://example.com/services/T000/B000/XXXX", ORIGIN: "https://example.com/" };
  const { secrets, ownsSecrets } = await ofFile(withDelivery(configuration), env);
  expect([...secrets].sort()).toEqual([...expected].sort());
  expect(ownsSecrets).toBe(expected.length === 0);
});

test("resolveCallback() lists the lines of a signing key, but no secrets of TLS", async () => {
  const jwtProfileOauth2 = {
    issuer: "a",
    subject: "b",
    audience: "http://127.0.0.1/",
    signatureAlgorithm: "RSA_RS256",
    keySource: "INLINE",
    keyContent: RSA_KEY,
  };
  const { secrets } = await ofFile(withDelivery({ auth: { type: "jwtProfileOauth2", jwtProfileOauth2 } }));
  expect(secrets).toEqual(expect.arrayContaining(RSA_KEY.split("\n").slice(1, 10)));
  expect(secrets.filter((secret) => secret.startsWith("-----END"))).toEqual([]);
});

test("resolveCallback() lists no secrets of other subscriptions, nor of the rest of the file", async () => {
  const auth = (value: string) => ({ type: "token", token: { value } });
  const callbackUrl = "http://127.0.0.1/";
  const { subscriptions } = await configOf({
    ...FILE,
    server: {
      auth: auth("server-token").token === undefined ? {} : { type: "token", value: "server-token" },
    },
    nats: { auth: { type: "token", value: "nats-token" } },
    state: { key: toBase64("k".repeat(32)) },
    system: { proxy: PROXY },
    subscriptions: ["a", "b"].map((id) => ({
      id,
      configuration: { entrypointId: "webhook", callbackUrl, auth: auth(`token-of-${id}`) },
    })),
  });
  expect(subscriptions.map(({ callback }) => callback.secrets)).toEqual([["token-of-a"], ["token-of-b"]]);
});

test.each<[string, string, Json, readonly string[]]>([
  ["forwards", "http://127.0.0.1/", {}, ["proxy-password", toBase64("relay:proxy-password")]],
  ["opens a tunnel", "https://127.0.0.1/", {}, []],
  ["is one of SOCKS", "http://127.0.0.1/", { type: "SOCKS5" }, []],
  ["asks for nothing", "http://127.0.0.1/", { username: undefined, password: undefined }, []],
])("resolveCallback() lists the credentials of a proxy that %s", async (_, callbackUrl, more, expected) => {
  const proxy = { ...PROXY, enabled: true, useSystemProxy: false, type: "HTTP", ...more };
  const { secrets, ownsSecrets } = await ofApi({ callbackUrl }, { proxy });
  expect(secrets).toEqual([...expected]);
  expect(ownsSecrets).toBe(expected.length === 0);
});

test.each<[string, Json, Json, boolean]>([
  ["its own", { callbackUrl: "https://a/?k=mine", headers: [{ name: "X", value: "mine" }] }, {}, true],
  ["the file's URL", {}, { callbackUrl: URL_OF_FILE }, false],
  ["the file's URL, without a secret in it", {}, { callbackUrl: "https://example.com/hook" }, true],
  ["its own URL in place of the file's", { callbackUrl: "https://a/" }, { callbackUrl: URL_OF_FILE }, true],
])(
  "resolveCallback() tells whether who subscribed by API knows all of them: %s",
  async (_, own, entrypoint, expected) => {
    expect((await ofApi(own, entrypoint)).ownsSecrets).toBe(expected);
  },
);

test("checkUrl() bounds the secrets to mask: it refuses longer URLs and more parameters", async () => {
  const url = (query: string) => withDelivery({ callbackUrl: `https://a/?${query}` });
  const parameters = (count: number) => Array.from({ length: count }, (_, at) => `k${at}=v`).join("&");
  expect((await ofFile(url(parameters(100)))).secrets.length).toBeGreaterThan(1);
  const refusal = (query: string) => ofFile(url(query)).then(() => "taken", String);
  expect(await refusal(parameters(1000))).toContain("found 1000 parameters, allowed: at most 100");
  expect(await refusal("k".repeat(9000))).toContain("characters, allowed: at most 8192");
});

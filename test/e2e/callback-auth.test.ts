// How Relay signs in at callbacks, through the binary: every form of `auth` that works, and each way it fails.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeProtectedHeader, exportJWK, type JWK, UnsecuredJWT } from "jose";
import { RSA_KEY } from "../config/pem-fixtures.ts";
import { JKS, LEGACY_PKCS12, STORE_PASSWORD } from "../config/store-fixtures.ts";
import { type AuthorizationServer, startAuthorizationServer } from "../support/authorization-server.ts";
import {
  expectDelivered,
  expectRefused,
  expectRejected,
  type Json,
  type LabServer,
  startLab,
  startLabServer,
  type Way,
} from "../support/callback-lab.ts";
import { eventually } from "../support/eventually.ts";
import { readMetric } from "../support/metrics.ts";
import { freePort } from "../support/nats-server.ts";
import {
  headerOf,
  type ReceivedRequest,
  type Receiver,
  type Respond,
  startReceiver,
  startTcpReceiver,
} from "../support/receiver.ts";
import { type RelayProcess, temporaryDirectory } from "../support/relay.ts";

/** As long as HS256 asks for, with what has to be encoded in a form. */
const SECRET = "s3cret+with blanks/&=%?:;~!*'()\"";
const PASSWORD = "pass:w\u00f6rd";
const TOKEN = "fixed-token-of-the-test";
const IMPATIENT_MS = 1500;
/** More than a busy machine needs. */
const PATIENT_MS = 60_000;

const stack = new AsyncDisposableStack();
let server: LabServer;
let relay: RelayProcess;
let receiver: Receiver;
/** By how their client signs in. */
const tokens = new Map<string, AuthorizationServer>();

function tokensOf(method: string): AuthorizationServer {
  const found = tokens.get(method);
  if (found === undefined) throw new Error(`No authorization server for ${method}`);
  return found;
}

async function startTokens(
  method: string,
  more: Json,
  partner?: { issuer: string; key: JWK },
): Promise<void> {
  const client = { client_id: "relay app", token_endpoint_auth_method: method, ...more };
  const options = partner === undefined ? { client } : { client, partner };
  tokens.set(method, stack.use(await startAuthorizationServer(options)));
}

/** `/<method>/<id>` asks that method's server whether the token is good; `/fixed/…` knows what it wants. */
async function respond({ path, ...request }: ReceivedRequest): Promise<number> {
  const [, method = "", id = ""] = path.split("/");
  if (method !== "fixed") return (await tokensOf(method).check({ path, ...request })) === null ? 401 : 200;
  const basic = `Basic ${Buffer.from(`relay:${PASSWORD}`).toString("base64")}`;
  const wanted = id.startsWith("basic") ? basic : `Bearer ${TOKEN}`;
  return headerOf({ path, ...request }, "authorization") === wanted ? 200 : 401;
}

function way(id: string, method: string, auth: Json, through: Json = {}): Way {
  return { id, call: { callbackUrl: new URL(`/${method}/${id}`, receiver.url).href, auth }, through };
}

function oauth2(endpoint: URL | string, changes: Json = {}): Json {
  const client = { clientId: "relay app", clientSecret: SECRET };
  return { type: "oauth2", oauth2: { endpoint: String(endpoint), ...client, ...changes } };
}

function jwt(method: string, changes: Json): Json {
  const { tokenUrl, issuer } = tokensOf(method);
  const client = { issuer: "relay app", subject: "relay app", audience: issuer };
  const key = { signatureAlgorithm: "RSA_RS256", keySource: "INLINE" };
  return {
    type: "jwtProfileOauth2",
    jwtProfileOauth2: { ...client, endpoint: tokenUrl.href, ...key, ...changes },
  };
}

interface BrokenEndpoint {
  readonly id: string;
  readonly answer: Respond | "nothing" | "nobody";
  readonly error: RegExp;
}

const BROKEN: readonly BrokenEndpoint[] = [
  { id: "endpoint-down", answer: "nobody", error: /: cannot reach 127\.0\.0\.1:\d+: connection refused$/ },
  { id: "endpoint-hangs", answer: "nothing", error: /: it did not answer within 1500 ms$/ },
  {
    id: "endpoint-is-a-page",
    answer: () => ({ status: 200, body: "<html>Sign in</html>" }),
    error: /: its answer is not a JSON object$/,
  },
  {
    id: "endpoint-grants-nothing",
    answer: () => ({ status: 200, body: '{"expires_in":60}' }),
    error: /: its answer has no access_token$/,
  },
  {
    id: "endpoint-of-another-kind",
    answer: () => ({ status: 200, body: '{"access_token":"abc","token_type":"mac"}' }),
    error: /: its token_type is not Bearer$/,
  },
  {
    id: "endpoint-redirects",
    answer: () => ({ status: 302, headers: { location: "http://127.0.0.1:9/" } }),
    error: /: it answered 302, and redirects are not followed$/,
  },
  { id: "endpoint-fails", answer: () => 503, error: /: it answered 503$/ },
  {
    id: "endpoint-repeats-the-secret",
    answer: ({ body }) => ({
      status: 400,
      body: JSON.stringify({ error: "invalid_request", error_description: `Cannot read ${body.toString()}` }),
    }),
    error: /: it answered 400 invalid_request$/,
  },
];

async function startEndpoint({ answer }: BrokenEndpoint): Promise<string> {
  if (answer === "nobody") return `http://127.0.0.1:${await freePort()}/token`;
  const endpoint = answer === "nothing" ? await startTcpReceiver(() => {}) : await startReceiver(answer);
  return new URL("/token", stack.use(endpoint).url).href;
}

async function oauth2Ways(): Promise<readonly Way[]> {
  const [post, basic] = [tokensOf("client_secret_post"), tokensOf("client_secret_basic")];
  const broken = BROKEN.map(async (row) => {
    const auth = oauth2(await startEndpoint(row));
    const http = { readTimeout: row.answer === "nothing" ? IMPATIENT_MS : PATIENT_MS };
    return way(row.id, "client_secret_post", auth, { http });
  });
  return [
    way("in-the-body", "client_secret_post", oauth2(post.tokenUrl)),
    way("as-basic", "client_secret_basic", oauth2(basic.tokenUrl, { clientAuthentication: "basic" })),
    way("scopes", "client_secret_post", oauth2(post.tokenUrl, { scopes: ["orders:write", "orders:read"] })),
    way("wrong-secret", "client_secret_post", oauth2(post.tokenUrl, { clientSecret: "another-secret" })),
    way("refused-token", "fixed", oauth2(post.tokenUrl)),
    ...(await Promise.all(broken)),
  ];
}

/** `directory`: for the files of the keys. */
async function jwtWays(directory: string): Promise<readonly Way[]> {
  const files = { pem: RSA_KEY, p12: Buffer.from(LEGACY_PKCS12, "base64"), jks: Buffer.from(JKS, "base64") };
  const pathOf = (ending: string) => join(directory, `key.${ending}`);
  await Promise.all(Object.entries(files).map(([ending, content]) => writeFile(pathOf(ending), content)));
  const foreign = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const keystoreOptions = { storePassword: STORE_PASSWORD };
  const rsa = (id: string, changes: Json) => way(id, "private_key_jwt", jwt("private_key_jwt", changes));
  const bearerUrl = tokensOf("none").bearerUrl.href;
  const bearer = {
    issuer: "partner.example",
    subject: "device-7",
    audience: bearerUrl,
    endpoint: bearerUrl,
    keyContent: RSA_KEY,
    customClaims: [{ name: "tenant", value: "north" }],
  };
  return [
    rsa("rs256-inline", { keyContent: RSA_KEY, keyId: "key-1" }),
    rsa("rs256-pem", { keySource: "PEM", keyContent: pathOf("pem") }),
    rsa("rs256-pkcs12", {
      keySource: "PKCS12",
      keyContent: pathOf("p12"),
      keystoreOptions,
      x509CertChain: "X5C",
    }),
    rsa("rs256-jks", {
      keySource: "JKS",
      keyContent: pathOf("jks"),
      keystoreOptions: { ...keystoreOptions, alias: "rsa" },
    }),
    rsa("foreign-key", { keyContent: foreign.export({ type: "pkcs8", format: "pem" }) }),
    way(
      "hs256",
      "client_secret_jwt",
      jwt("client_secret_jwt", { signatureAlgorithm: "HMAC_HS256", keyContent: SECRET }),
    ),
    way("grant", "none", jwt("none", bearer)),
  ];
}

beforeAll(async () => {
  const publicKey = await exportJWK(createPublicKey(RSA_KEY));
  const key = { ...publicKey, kid: "key-1", use: "sig", alg: "RS256" };
  await Promise.all([
    startTokens("client_secret_post", { client_secret: SECRET }),
    startTokens("client_secret_basic", { client_secret: SECRET }),
    startTokens("client_secret_jwt", {
      client_secret: SECRET,
      token_endpoint_auth_signing_alg: "HS256",
    }),
    startTokens("private_key_jwt", { jwks: { keys: [key] }, token_endpoint_auth_signing_alg: "RS256" }),
    startTokens("none", {}, { issuer: "partner.example", key }),
  ]);
  server = stack.use(await startLabServer());
  receiver = stack.use(await startReceiver(respond));
  const directory = stack.use(await temporaryDirectory()).path;
  const basic = (password: string) => ({ type: "basic", basic: { username: "relay", password } });
  const token = (value: object | string) => ({ type: "token", token: { value } });
  const ways = [
    way("basic", "fixed", basic(PASSWORD)),
    way("basic-wrong", "fixed", basic("another-password")),
    way("token", "fixed", token(TOKEN)),
    way("token-by-reference", "fixed", token({ env: "CALLBACK_TOKEN" })),
    way("token-wrong", "fixed", token("another-token")),
    ...(await oauth2Ways()),
    ...(await jwtWays(directory)),
  ];
  relay = stack.use(await startLab(server, ways, { env: { CALLBACK_TOKEN: TOKEN } }));
});
afterAll(() => stack.disposeAsync());

function requestsOf(id: string): readonly ReceivedRequest[] {
  return receiver.requests.filter(({ path }) => path.endsWith(`/${id}`));
}

describe("basic and token", () => {
  test.each(["basic", "token", "token-by-reference"])("%s signs in", async (id) => {
    await expectDelivered(server, relay, { id });
  });

  test.each(["basic-wrong", "token-wrong"])("%s is a rejection by the callback", async (id) => {
    await expectRejected(server, relay, { id, status: 401 });
    expect(requestsOf(id)).toHaveLength(1);
  });
});

test("a fixed token that ends soon, or has ended, is warned of at the start and in the status", async () => {
  const now = Math.floor(Date.now() / 1000);
  const rows = [
    { id: "token-ends", verb: "expires", end: now + 1800 },
    { id: "token-ended", verb: "expired", end: now - 1800 },
    { id: "token-holds", verb: "expires", end: now + 7200 },
  ].map(({ id, verb, end }) => ({
    id,
    verb,
    end,
    value: new UnsecuredJWT({}).setExpirationTime(end).encode(),
  }));
  const ways = rows.map(({ id, value }) => way(id, "fixed", { type: "token", token: { value } }));
  await using own = await startLab(server, ways);
  const status = (await (await fetch(`${await own.url()}/api/status`)).json()) as { config: Json };
  const warnings = rows.map(
    ({ verb, end }, index) =>
      `subscriptions[${index}].configuration.auth.token.value: the token ${verb} at ${new Date(end * 1000).toISOString()}`,
  );
  expect(status.config["warnings"]).toEqual(warnings.slice(0, 2));
  const logged = own.logs.filter(({ level }) => level === "warn").map(({ message }) => message);
  for (const warning of warnings.slice(0, 2)) expect(logged).toContain(warning);
  for (const { value } of rows) expect(JSON.stringify([status, own.logs])).not.toContain(value);
});

describe("oauth2", () => {
  test.each(["in-the-body", "as-basic", "scopes"])("%s brings a token that is good", async (id) => {
    await expectDelivered(server, relay, { id });
  });

  test("the client signs in where it is told to, and asks for its scopes", async () => {
    await Promise.all(
      ["as-basic", "scopes"].map((id) => eventually(() => server.isThrough(id), { what: id })),
    );
    expect(tokensOf("client_secret_basic").grants[0]?.authorization).toStartWith("Basic ");
    expect(tokensOf("client_secret_basic").grants[0]?.params["client_secret"]).toBeUndefined();
    const grants = tokensOf("client_secret_post").grants;
    expect(grants.map(({ authorization }) => authorization)).not.toContainEqual(expect.any(String));
    expect(grants.map(({ params }) => params["scope"])).toContain("orders:write orders:read");
  });

  test("a wrong secret is an exception, and the callback is not called", async () => {
    const error =
      /^Cannot get an access token from http:\/\/127\.0\.0\.1:\d+\/token: it answered 401 invalid_client/;
    await expectRefused(server, relay, { id: "wrong-secret", cause: "token", error });
    expect(requestsOf("wrong-secret")).toEqual([]);
  });

  test.each(BROKEN.map((row) => [row.id, row] as const))(
    "%s: an exception that names it",
    async (id, { error }) => {
      await expectRefused(server, relay, { id, cause: "token", error });
      const letter = await server.letterOf(id);
      expect(letter?.header.get("Relay-Error")).toMatch(
        /^Cannot get an access token from http:\/\/127\.0\.0\.1:\d+\/token: /,
      );
      expect(requestsOf(id)).toEqual([]);
    },
  );

  test("a token that the callback refuses is renewed once, then its 401 is a rejection", async () => {
    await expectRejected(server, relay, { id: "refused-token", status: 401 });
    const authorizations = requestsOf("refused-token").map((request) => headerOf(request, "authorization"));
    expect(authorizations).toHaveLength(2);
    expect(new Set(authorizations).size).toBe(2);
  });
});

describe("jwtProfileOauth2", () => {
  test.each(["rs256-inline", "rs256-pem", "rs256-pkcs12", "rs256-jks", "hs256", "grant"])(
    "%s brings a token that is good",
    async (id) => {
      await expectDelivered(server, relay, { id });
    },
  );

  test("the key and the certificates are named in the assertion where the config says so", async () => {
    await Promise.all(
      ["rs256-inline", "rs256-pkcs12"].map((id) => eventually(() => server.isThrough(id), { what: id })),
    );
    const headers = tokensOf("private_key_jwt").grants.map(({ params }) =>
      decodeProtectedHeader(params["client_assertion"] ?? ""),
    );
    expect(headers.map(({ kid }) => kid)).toContain("key-1");
    expect(headers.map(({ x5c }) => x5c?.length ?? 0)).toContain(2);
  });

  test("issuer and subject that differ make the assertion a grant, with the further claims", async () => {
    await eventually(() => server.isThrough("grant"), { what: "grant" });
    const [grant] = tokensOf("none").grants;
    expect(grant?.params["grant_type"]).toBe("urn:ietf:params:oauth:grant-type:jwt-bearer");
    expect(grant?.claims).toMatchObject({ iss: "partner.example", sub: "device-7", tenant: "north" });
  });

  test("a key that the server does not know is an exception", async () => {
    const error = /\/token: it answered 401 invalid_client/;
    await expectRefused(server, relay, { id: "foreign-key", cause: "token", error });
    expect(requestsOf("foreign-key")).toEqual([]);
  });
});

test("a 401 renews the token, and the same message is sent again, as one attempt", async () => {
  await expectDelivered(server, relay, { id: "as-basic" });
  const { revoke, grants } = tokensOf("client_secret_basic");
  expect(grants).toHaveLength(1);
  await revoke();
  await server.publish("as-basic", '{"way":"second"}');
  await eventually(() => requestsOf("as-basic").length === 3);
  await expectDelivered(server, relay, { id: "as-basic", times: 2 });
  expect(requestsOf("as-basic").map(({ body }) => body.toString())).toEqual([
    '{"way":"as-basic"}',
    '{"way":"second"}',
    '{"way":"second"}',
  ]);
  expect(grants).toHaveLength(2);
  expect(await readMetric(relay, "relay_exceptions_total", { subscription: "as-basic" })).toBe(0);
});

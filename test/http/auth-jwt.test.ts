// Tokens of an authority: good ones, hostile ones, keys that change, and an authority that fails.

import { exportSPKI } from "jose";
import { expect, test } from "bun:test";
import { createTokenAuth, type TokenAuthOptions, type TokenVerdict } from "#http/auth-jwt.ts";
import { createAuth } from "#http/auth.ts";
import { eventually } from "../support/eventually.ts";
import { startStopwatch } from "../support/stopwatch.ts";
import { type Authority, type Claims, createKey, signToken, startAuthority } from "./authority.ts";
import { testLogger } from "./gated.ts";

const RSA = await createKey("RS256");
const EC = await createKey("ES256", "second");
const SENDER = { address: "", signal: new AbortController().signal };
const invalid = (reason: string): TokenVerdict => ({ kind: "invalid", reason });
const NOT_VALID = invalid("The token is not valid");

function authOf({ settings }: Authority, options: Partial<TokenAuthOptions> = {}) {
  return createTokenAuth(settings, { logger: testLogger(), ...options });
}

test.each(["RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"])(
  "createTokenAuth() takes a token signed with %s",
  async (alg) => {
    const key = alg === "RS256" ? RSA : await createKey(alg);
    await using authority = await startAuthority(key, EC);
    const result = await authOf(authority)(await signToken(key));
    expect(result).toMatchObject({ kind: "valid", identity: { subject: "shop", scopes: ["relay:read"] } });
  },
);

test.each<[string, Claims, readonly string[]]>([
  ["scope", { scope: "relay:read  relay:write" }, ["relay:read", "relay:write"]],
  ["scp as a list", { scope: undefined, scp: ["relay:subscribe", 7] }, ["relay:subscribe"]],
  ["scp as a text", { scope: undefined, scp: "relay:subscribe" }, ["relay:subscribe"]],
  ["a scope that is no text", { scope: { "relay:read": true } }, []],
])("createTokenAuth() reads scopes from %s", async (_, claims, scopes) => {
  await using authority = await startAuthority(RSA);
  expect(await authOf(authority)(await signToken(RSA, claims))).toMatchObject({ identity: { scopes } });
});

test.each<[string, Claims, TokenVerdict]>([
  [
    "another issuer",
    { iss: "https://evil.example.com" },
    invalid("The claim iss of the token is missing or not accepted"),
  ],
  ["another audience", { aud: ["other"] }, invalid("The claim aud of the token is missing or not accepted")],
  ["no audience", { aud: undefined }, invalid("The claim aud of the token is missing or not accepted")],
  ["no end", { exp: undefined }, invalid("The claim exp of the token is missing or not accepted")],
  ["an end in the past", { exp: Math.floor(Date.now() / 1000) - 10 }, invalid("The token has expired")],
  [
    "a start to come",
    { nbf: Math.floor(Date.now() / 1000) + 60 },
    invalid("The claim nbf of the token is missing or not accepted"),
  ],
])("createTokenAuth() refuses a token with %s", async (_, claims, expected) => {
  await using authority = await startAuthority(RSA);
  expect(await authOf(authority)(await signToken(RSA, claims))).toEqual(expected);
});

test("createTokenAuth() forgives clocks five seconds", async () => {
  await using authority = await startAuthority(RSA);
  const token = await signToken(RSA, { exp: Math.floor(Date.now() / 1000) - 3 });
  expect(await authOf(authority)(token)).toMatchObject({ kind: "valid" });
});

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

test("createTokenAuth() refuses hostile tokens", async () => {
  await using authority = await startAuthority(RSA, EC);
  const authenticate = authOf(authority);
  const [, payload = "", signature = ""] = (await signToken(RSA)).split(".");
  const spki = new TextEncoder().encode(await exportSPKI(RSA.publicKey));
  const modulus = Buffer.from(RSA.jwk.n ?? "", "base64url");
  const stranger = await createKey("RS256");
  const hostile = [
    "",
    "x",
    "a.b.c",
    `${encode({ alg: "none" })}.${payload}.`,
    `${encode({ alg: "None", kid: "first" })}.${payload}.${signature}`,
    `${encode({ alg: "RS256", kid: "first" })}.${payload}.`,
    `${encode({ alg: "RS256", kid: "first" })}.${encode({ sub: "root" })}.${signature}`,
    `${encode({ alg: "ES256", kid: "first" })}.${payload}.${signature}`,
    `${encode({ alg: "RS256", kid: "first", crit: ["exp"] })}.${payload}.${signature}`,
    `${encode({ alg: "RS256", kid: "first", b64: false, crit: ["b64"] })}.${payload}.${signature}`,
    `${encode({ kid: "first" })}.${payload}.${signature}`,
    `${encode(["RS256"])}.${payload}.${signature}`,
    await signToken({ alg: "HS256", kid: "first", privateKey: spki }),
    await signToken({ alg: "HS256", kid: "first", privateKey: modulus }),
    await signToken(stranger),
    await signToken({ ...stranger, kid: "unknown" }),
  ];
  for (const token of hostile) expect(await authenticate(token)).toEqual(NOT_VALID);
  const huge = await signToken(RSA, { padding: "x".repeat(9000) });
  expect(await authenticate(huge)).toEqual(invalid("The token has more than 8192 characters"));
});

test("createTokenAuth() does not fetch keys from where a token says", async () => {
  await using authority = await startAuthority(RSA);
  await using evil = await startAuthority(EC);
  const { url } = evil.server;
  const header = encode({ alg: "ES256", kid: "second", jku: url.href, x5u: url.href, jwk: EC.jwk });
  const [, payload = "", signature = ""] = (await signToken(EC)).split(".");
  expect(await authOf(authority)(`${header}.${payload}.${signature}`)).toEqual(NOT_VALID);
  expect(evil.server.requests).toHaveLength(0);
});

test("createTokenAuth() tries each key that fits a token without kid", async () => {
  const keys = [await createKey("ES256", null), await createKey("ES256", null)] as const;
  await using authority = await startAuthority(...keys);
  const authenticate = authOf(authority);
  for (const key of keys) expect(await authenticate(await signToken(key))).toMatchObject({ kind: "valid" });
  expect(await authenticate(await signToken(await createKey("ES256", null)))).toEqual(NOT_VALID);
});

test("createTokenAuth() fetches keys once, and again for a key that it does not know", async () => {
  await using authority = await startAuthority(RSA);
  const authenticate = authOf(authority, { cooldownMs: 0 });
  const token = await signToken(RSA);
  await Promise.all(Array.from({ length: 20 }, () => authenticate(token)));
  expect(authority.server.requests).toHaveLength(1);
  authority.publish(EC);
  expect(await authenticate(await signToken(EC))).toMatchObject({ kind: "valid" });
  expect(authority.server.requests).toHaveLength(2);
  expect(await authenticate(token)).toEqual(NOT_VALID);
});

test("createTokenAuth() looks for unknown keys once in a while only", async () => {
  await using authority = await startAuthority(RSA);
  const authenticate = authOf(authority, { cooldownMs: 60_000 });
  expect(await authenticate(await signToken(RSA))).toMatchObject({ kind: "valid" });
  for (let index = 0; index < 20; index += 1) {
    expect(await authenticate(await signToken({ ...EC, kid: `key-${index}` }))).toEqual(NOT_VALID);
  }
  expect(authority.server.requests).toHaveLength(1);
});

test.each([
  ["a 500", 500],
  ["a redirect", { status: 302, headers: { location: "http://127.0.0.1:1/" } }],
  ["no JSON", { status: 200, body: "<html>" }],
  ["no set", { status: 200, body: '{"keys":{}}' }],
  ["too much", { status: 200, body: `{"keys":[]}${" ".repeat(300_000)}` }],
] as const)(
  "createTokenAuth() says that keys are not to be had after %s, and does not ask at once again",
  async (_, answer) => {
    await using authority = await startAuthority(RSA);
    authority.answer(answer);
    const lines: string[] = [];
    const authenticate = authOf(authority, { logger: testLogger(lines) });
    const token = await signToken(RSA);
    for (let index = 0; index < 20; index += 1) {
      expect(await authenticate(token)).toEqual({ kind: "unavailable" });
    }
    expect(authority.server.requests).toHaveLength(1);
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toContain("/keys");
  },
);

test("createTokenAuth() comes back by itself once the authority does", async () => {
  await using authority = await startAuthority(RSA);
  authority.answer(503);
  const authenticate = authOf(authority, { retryMs: 0 });
  const token = await signToken(RSA);
  expect(await authenticate(token)).toEqual({ kind: "unavailable" });
  authority.answer(null);
  expect(await authenticate(token)).toMatchObject({ kind: "valid" });
});

test("createTokenAuth() keeps known keys while the authority fails", async () => {
  await using authority = await startAuthority(RSA);
  const authenticate = authOf(authority, { cooldownMs: 0 });
  const token = await signToken(RSA);
  expect(await authenticate(token)).toMatchObject({ kind: "valid" });
  authority.answer(500);
  expect(await authenticate(await signToken(EC))).toEqual({ kind: "unavailable" });
  expect(await authenticate(token)).toMatchObject({ kind: "valid" });
});

test("createTokenAuth() goes on with keys that are too old while no others can be had", async () => {
  await using authority = await startAuthority(RSA);
  const authenticate = authOf(authority, { cooldownMs: 0, maxAgeMs: 0, retryMs: 0 });
  const token = await signToken(RSA);
  expect(await authenticate(token)).toMatchObject({ kind: "valid" });
  authority.answer(500);
  expect(await authenticate(token)).toMatchObject({ kind: "valid" });
  expect(await authenticate(await signToken(EC))).toEqual({ kind: "unavailable" });
  expect(await authenticate(await signToken(await createKey("RS256")))).toEqual(NOT_VALID);
  authority.answer(null);
  authority.publish(EC);
  await eventually(async () => (await authenticate(token)).kind === "invalid");
  expect(await authenticate(await signToken(EC))).toMatchObject({ kind: "valid" });
});

test("createTokenAuth() waits for a silent authority once, not with each token that it knows the key of", async () => {
  await using authority = await startAuthority(RSA);
  const authenticate = authOf(authority, { maxAgeMs: 0, retryMs: 0, timeoutMs: 800 });
  const token = await signToken(RSA);
  expect(await authenticate(token)).toMatchObject({ kind: "valid" });
  authority.answer(null);
  authority.server.respond(() => null);
  expect(await authenticate(token)).toMatchObject({ kind: "valid" });
  using watch = startStopwatch();
  for (let time = 0; time < 5; time += 1) expect(await authenticate(token)).toMatchObject({ kind: "valid" });
  watch.expectWithin(0, 700);
});

test("createTokenAuth() does not wait long for an authority that is silent, or stalls", async () => {
  await using authority = await startAuthority(RSA);
  const token = await signToken(RSA);
  authority.server.respond((_request, _index, response) => {
    response.writeHead(200).write('{"keys":');
    return null;
  });
  expect(await authOf(authority, { timeoutMs: 100 })(token)).toEqual({ kind: "unavailable" });
  authority.server.respond(() => null);
  expect(await authOf(authority, { timeoutMs: 100 })(token)).toEqual({ kind: "unavailable" });
});

test("createAuth() answers 503 where keys are not to be had, and 401 where a token is wrong", async () => {
  await using authority = await startAuthority(RSA);
  const auth = createAuth(authority.settings, { logger: testLogger(), retryMs: 0 });
  const token = await signToken(RSA);
  authority.answer(500);
  const without = await auth.authenticate({ kind: "bearer", token }, SENDER);
  expect(without).toMatchObject({ kind: "refused", problem: { status: 503 } });
  authority.answer(null);
  expect(await auth.authenticate({ kind: "bearer", token }, SENDER)).toMatchObject({ kind: "identified" });
  const wrong = await auth.authenticate({ kind: "bearer", token: `${token}x` }, SENDER);
  expect(wrong).toMatchObject({
    problem: { status: 401, headers: { "www-authenticate": 'Bearer realm="relay", error="invalid_token"' } },
  });
});

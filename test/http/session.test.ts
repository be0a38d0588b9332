// Sessions of the page: how long they last, how many there are, and the cookie that stands for one.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { createAuth } from "#http/auth.ts";
import { createSessions } from "#http/session.ts";
import { createCertificates } from "../support/tls.ts";
import { createKey, signToken, startAuthority } from "./authority.ts";
import { BASIC, bearer, type Gated, openGated, SECRET, testAuth, testLogger, TOKEN } from "./gated.ts";

const OPERATOR = { identity: { kind: "operator" }, expiresAt: null } as const;
const HOUR_MS = 3_600_000;

test("createSessions() ends a session after 12 hours, however much it is used", () => {
  let now = 0;
  const sessions = createSessions({ now: () => now });
  const { value, expiresAt } = sessions.open(OPERATOR);
  expect(expiresAt).toBe(12 * HOUR_MS);
  now = 12 * HOUR_MS - 1;
  expect(sessions.find(value)).toEqual({ identity: { kind: "operator" }, expiresAt });
  now += 1;
  expect(sessions.find(value)).toBeNull();
});

test("createSessions() ends a session with the token that it stands for", () => {
  let now = 0;
  const sessions = createSessions({ now: () => now });
  const { value } = sessions.open({ ...OPERATOR, expiresAt: 1000 });
  now = 999;
  expect(sessions.find(value)).not.toBeNull();
  now = 1000;
  expect(sessions.find(value)).toBeNull();
});

test("createSessions() forgets the oldest beyond its bound, and what is closed", () => {
  const sessions = createSessions({ maxSessions: 2 });
  const [first, second, third] = [OPERATOR, OPERATOR, OPERATOR].map(
    (session) => sessions.open(session).value,
  );
  expect(sessions.find(first ?? "")).toBeNull();
  expect(sessions.find(second ?? "")).not.toBeNull();
  sessions.close(third ?? "");
  expect(sessions.find(third ?? "")).toBeNull();
  expect(sessions.find("")).toBeNull();
});

async function signIn({ url }: Gated, body: unknown, init: RequestInit = {}): Promise<Response> {
  const headers = { "content-type": "application/json", ...(init.headers as Record<string, string>) };
  return await fetch(`${url}/api/session`, { method: "POST", body: JSON.stringify(body), ...init, headers });
}

const cookieOf = (response: Response) => response.headers.get("set-cookie") ?? "";
const pairOf = (response: Response) => ({ cookie: cookieOf(response).split(";")[0] ?? "" });

test.each([
  [TOKEN, { token: SECRET }],
  [BASIC, { username: "operator", password: SECRET }],
] as const)("createSignIn() gives a cookie for what is right: %j", async (settings, credentials) => {
  await using gated = await openGated(testAuth(settings));
  const response = await signIn(gated, credentials);
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({
    auth: settings.kind,
    signedIn: true,
    identity: { kind: "operator" },
  });
  expect(cookieOf(response)).toMatch(
    new RegExp(
      `^relay-session-${gated.port}=[\\w-]{43}; Max-Age=4(?:3200|3199); Path=/; HttpOnly; SameSite=Strict$`,
      "u",
    ),
  );
  const statusOf = async (headers: Record<string, string>) =>
    (await fetch(`${gated.url}/api/status`, { headers })).status;
  expect(await statusOf(pairOf(response))).toBe(200);
  expect(await statusOf({ cookie: `relay-session-${gated.port}=guessed` })).toBe(401);
  expect(await statusOf({ ...pairOf(response), ...bearer("wrong") })).toBe(401);
});

test("createSignIn() gives none for what is wrong, and no prompt to a page", async () => {
  await using gated = await openGated(testAuth(BASIC));
  const wrong = await signIn(
    gated,
    { username: "operator", password: "x" },
    { headers: { "sec-fetch-dest": "empty" } },
  );
  expect(wrong.status).toBe(401);
  expect(wrong.headers.get("www-authenticate")).toStartWith("FormBased ");
  expect(cookieOf(wrong)).toBe("");
  for (const body of [{}, { token: 7 }, { username: "operator" }, null, { token: SECRET, more: 1 }]) {
    expect((await signIn(gated, body)).status).toBe(422);
  }
  const foreign = await signIn(
    gated,
    { username: "operator", password: SECRET },
    { headers: { origin: "http://evil" } },
  );
  expect(foreign.status).toBe(403);
});

test("createSignIn() signs out", async () => {
  await using gated = await openGated(testAuth(TOKEN));
  const headers = pairOf(await signIn(gated, { token: SECRET }));
  const show = async () => (await fetch(`${gated.url}/api/session`, { headers })).json();
  expect(await show()).toMatchObject({ auth: "token", signedIn: true });
  const out = await fetch(`${gated.url}/api/session`, { method: "DELETE", headers });
  expect(out.status).toBe(204);
  expect(cookieOf(out)).toContain("Max-Age=0");
  expect(await show()).toEqual({ auth: "token", signedIn: false, identity: null, expiresAt: null });
  expect((await fetch(`${gated.url}/api/status`, { headers })).status).toBe(401);
});

test("createSignIn() needs nothing where nothing is needed", async () => {
  await using gated = await openGated(testAuth({ kind: "none" }));
  const response = await signIn(gated, {});
  expect([response.status, cookieOf(response)]).toEqual([200, ""]);
  expect(await response.json()).toEqual({ auth: "none", signedIn: true, identity: null, expiresAt: null });
});

test("createSignIn() gives the session of a token its scopes and its end", async () => {
  const key = await createKey("ES256");
  await using authority = await startAuthority(key);
  await using gated = await openGated(createAuth(authority.settings, { logger: testLogger() }));
  const exp = Math.floor(Date.now() / 1000) + 100;
  const response = await signIn(gated, { token: await signToken(key, { scope: "relay:subscribe", exp }) });
  expect(await response.json()).toEqual({
    auth: "jwt",
    signedIn: true,
    identity: { kind: "jwt", subject: "shop", scopes: ["relay:subscribe"] },
    expiresAt: new Date(exp * 1000).toISOString(),
  });
  const headers = pairOf(response);
  expect((await fetch(`${gated.url}/api/status`, { headers })).status).toBe(403);
  expect(await (await fetch(`${gated.url}/webhook/x`, { headers })).json()).toMatchObject({
    access: { kind: "application", application: "shop" },
  });
});

test("createSignIn() keeps the cookie to TLS where there is TLS", async () => {
  const directory = await mkdtemp(join(tmpdir(), "relay-session-"));
  await using _ = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
  const { ca, server } = await createCertificates(directory);
  await using gated = await openGated(testAuth(TOKEN), { tls: server });
  const tls = { tls: { ca } };
  const response = await signIn(gated, { token: SECRET }, tls as RequestInit);
  expect(cookieOf(response)).toStartWith(`__Host-relay-session-${gated.port}=`);
  expect(cookieOf(response)).toContain("; Secure;");
  const status = async (origin: string) => {
    const init = { method: "POST", headers: { ...pairOf(response), origin }, ...tls };
    return (await fetch(`${gated.url}/api/x`, init)).status;
  };
  expect(await status(gated.url)).toBe(200);
  expect(await status(gated.url.replace("https", "http"))).toBe(403);
});

// Tokens and passwords: what is right, what is wrong, and how often one may guess.

import { afterEach, expect, setSystemTime, test } from "bun:test";
import { createAuth, type Credentials, readCredentials } from "#http/auth.ts";
import { eventually } from "../support/eventually.ts";
import { BASIC, basic, bearer, SECRET, testLogger, TOKEN } from "./gated.ts";

const NEVER = new AbortController().signal;
const HERE = "192.0.2.1";
const FROM_HERE = { address: HERE, signal: NEVER };
const token = (text: string): Credentials => ({ kind: "bearer", token: text });
const pair = (username: string, password: string): Credentials => ({ kind: "basic", username, password });

afterEach(() => void setSystemTime());

async function statusOf(auth: ReturnType<typeof createAuth>, credentials: Credentials | null, from = HERE) {
  const result = await auth.authenticate(credentials, { address: from, signal: NEVER });
  return result.kind === "identified" ? 200 : result.problem.status;
}

test("createAuth() lets a token in, and nothing near it", async () => {
  const auth = createAuth(TOKEN, { logger: testLogger() });
  expect(await auth.authenticate(token(SECRET), FROM_HERE)).toEqual({
    kind: "identified",
    identity: { kind: "operator" },
    expiresAt: null,
  });
  const wrong = [token(`${SECRET}x`), token(SECRET.slice(1)), token(""), pair("", SECRET), null];
  for (const credentials of wrong) expect(await statusOf(auth, credentials)).toBe(401);
});

test("createAuth() takes user name and password together", async () => {
  const auth = createAuth(BASIC, { logger: testLogger() });
  expect(await statusOf(auth, pair("operator", SECRET))).toBe(200);
  const wrong = [pair("operator", ""), pair("", SECRET), pair("Operator", SECRET), token(SECRET)];
  for (const credentials of wrong) expect(await statusOf(auth, credentials)).toBe(401);
});

test.each([
  ["nothing was sent", TOKEN, null, 'Bearer realm="relay"'],
  ["a token is wrong", TOKEN, token("x"), 'Bearer realm="relay", error="invalid_token"'],
  ["a password is wrong", BASIC, pair("operator", "x"), 'Basic realm="relay", charset="UTF-8"'],
] as const)("createAuth() challenges where %s", async (_, settings, credentials, challenge) => {
  const result = await createAuth(settings, { logger: testLogger() }).authenticate(credentials, FROM_HERE);
  expect(result).toMatchObject({ problem: { headers: { "www-authenticate": challenge } } });
});

test("createAuth() lets an address guess ten times, then once a second, and who is right never waits", async () => {
  let now = 0;
  const auth = createAuth(TOKEN, { logger: testLogger(), now: () => now });
  for (let guess = 0; guess < 10; guess += 1) expect(await statusOf(auth, token(`guess-${guess}`))).toBe(401);
  expect(await statusOf(auth, token("guess-10"))).toBe(429);
  expect(await statusOf(auth, token(SECRET))).toBe(200);
  expect(await statusOf(auth, token(SECRET), "192.0.2.2")).toBe(200);
  expect(await statusOf(auth, token("guess-10"))).toBe(429);
  now += 1000;
  expect(await statusOf(auth, token("guess-11"))).toBe(401);
  expect(await statusOf(auth, token("guess-12"))).toBe(429);
  now += 1000;
  expect(await statusOf(auth, token(SECRET))).toBe(200);
});

test("createAuth() lets an address guess again after a second, though the clock was set back by a day", async () => {
  const auth = createAuth(TOKEN, { logger: testLogger() });
  for (let guess = 0; guess < 10; guess += 1) expect(await statusOf(auth, token(`guess-${guess}`))).toBe(401);
  setSystemTime(Date.now() - 86_400_000);
  let guess = 10;
  await eventually(async () => (await statusOf(auth, token(`guess-${(guess += 1)}`))) === 401);
});

test("createAuth() lets one in whose address sends guesses on many connections, and these wait in turn", async () => {
  const auth = createAuth(TOKEN, { logger: testLogger(), now: () => 0 });
  for (let guess = 0; guess < 10; guess += 1) await statusOf(auth, token(`guess-${guess}`));
  let answered = 0;
  const ending = new AbortController();
  const guesses = Array.from({ length: 40 }, async (_, guess) => {
    await auth.authenticate(token(`more-${guess}`), { address: HERE, signal: ending.signal });
    answered += 1;
  });
  expect(await statusOf(auth, token(SECRET))).toBe(200);
  expect(answered).toBe(0);
  await eventually(() => answered > 1);
  expect(answered).toBeLessThan(40);
  ending.abort();
  await Promise.all(guesses);
});

test("createAuth() keeps no more than a thousand guesses waiting", async () => {
  const auth = createAuth(TOKEN, { logger: testLogger(), now: () => 0 });
  for (let guess = 0; guess < 10; guess += 1) await statusOf(auth, token(`guess-${guess}`));
  const ending = new AbortController();
  const from = { address: HERE, signal: ending.signal };
  const waiting = Array.from({ length: 1000 }, (_, guess) => auth.authenticate(token(`more-${guess}`), from));
  const isWaiting = await Promise.race([
    Promise.all(waiting).then(() => false),
    statusOf(auth, token("one-more")).then((status) => status === 429),
  ]);
  expect(isWaiting).toBe(true);
  ending.abort();
  await Promise.all(waiting);
});

test("createAuth() does not count the same wrong token twice", async () => {
  const auth = createAuth(TOKEN, { logger: testLogger(), now: () => 0 });
  for (let time = 0; time < 50; time += 1) expect(await statusOf(auth, token("of-yesterday"))).toBe(401);
  expect(await statusOf(auth, token(SECRET))).toBe(200);
});

test("createAuth() counts guesses by network where addresses are IPv6", async () => {
  const auth = createAuth(TOKEN, { logger: testLogger(), now: () => 0 });
  for (let guess = 0; guess < 10; guess += 1) {
    expect(await statusOf(auth, token(`guess-${guess}`), `2001:db8::${guess}`)).toBe(401);
  }
  expect(await statusOf(auth, token("x"), "2001:db8:0:0:ffff::1")).toBe(429);
  expect(await statusOf(auth, token("x"), "2001:db8:0:1::1")).toBe(401);
});

test.each([
  [bearer("a.b.c").authorization, token("a.b.c")],
  ["bearer  abc", token("abc")],
  [basic("a", "b:c").authorization, pair("a", "b:c")],
  [basic("ä", "ö").authorization, pair("ä", "ö")],
  [`Basic ${Buffer.from("no-colon").toString("base64")}`, null],
  ["Bearer", null],
  ["Bearer a b", null],
  ["Digest abc", null],
])("readCredentials() reads %s", (authorization, expected) => {
  expect(readCredentials(new Headers({ authorization }))).toEqual(expected);
});

test("readCredentials() finds none without a header", () => {
  expect(readCredentials(new Headers())).toBeNull();
});

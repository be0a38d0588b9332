// The gate, over real connections: other pages, other names, credentials, bodies, and the socket that needs none of it.

import { connect } from "node:net";
import { expect, test } from "bun:test";
import { Hono } from "hono";
import type { Identity } from "#http/access.ts";
import type { Auth } from "#http/auth.ts";
import type { ServerEnv } from "#http/caller.ts";
import { createGate } from "#http/gate.ts";
import { createSessions } from "#http/session.ts";
import { createServerSlots } from "#http/slots.ts";
import { BASIC, basic, bearer, type Gated, openGated, SECRET, testAuth, TOKEN } from "./gated.ts";

const NONE = testAuth({ kind: "none" });
const JSON_TYPE = { "content-type": "application/json" };

/** Takes whoever sends a token for who is given. */
function authOf(identity: Identity): Auth {
  return {
    kind: "jwt",
    authenticate: () => Promise.resolve({ kind: "identified", identity, expiresAt: null }),
  };
}

/** The first line of the answer to exactly these bytes, of any answer. */
async function answerTo({ port }: Gated, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  socket.once("data", (chunk) => resolve(chunk.toString().split("\r\n")[0] ?? ""));
  socket.once("error", reject);
  socket.write(text);
  return await promise.finally(() => socket.destroy());
}

test("createGate() lets in who calls the listen address or localhost, and nobody else", async () => {
  await using gated = await openGated(NONE);
  const { port } = gated;
  const get = (host: string) => answerTo(gated, `GET /api/status HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  for (const name of ["127.0.0.1", "localhost", "LocalHost", "[::1]", "[0:0::1]"]) {
    expect(await get(`${name}:${port}`)).toBe("HTTP/1.1 200 OK");
  }
  const foreign = ["evil.example.com", `evil.example.com:${port}`, "127.0.0.1", `127.0.0.1:${port + 1}`];
  const malformed = ["", `127.0.0.1:${port}@evil`, `localhost:${port}/x`, "[::1", `localhost.:${port}`];
  for (const host of [...foreign, ...malformed]) expect(await get(host)).toStartWith("HTTP/1.1 421");
  expect(await answerTo(gated, "GET /livez HTTP/1.0\r\n\r\n")).toStartWith("HTTP/1.1 421");
  const two = `GET / HTTP/1.1\r\nHost: localhost:${port}\r\nHost: evil\r\n\r\n`;
  expect(await answerTo(gated, two)).toStartWith("HTTP/1.1 421");
  const absolute = `GET http://localhost:${port}/ HTTP/1.1\r\nHost: evil:${port}\r\n\r\n`;
  expect(await answerTo(gated, absolute)).toStartWith("HTTP/1.1 421");
});

test("createGate() takes any name where the listener is for others", async () => {
  await using gated = await openGated(testAuth(TOKEN), { listen: { host: "0.0.0.0", isLoopback: false } });
  const headers = { ...bearer(SECRET), host: "relay.example.com:9999" };
  expect((await fetch(`${gated.url}/api/status`, { headers })).status).toBe(200);
});

test.each<[string, number, string, Readonly<Record<string, string>>]>([
  ["no Origin", 200, "POST", {}],
  ["another page's Origin", 403, "POST", { origin: "https://evil.example.com" }],
  ["another port's Origin", 403, "DELETE", { origin: "http://127.0.0.1:1" }],
  ["a hidden Origin", 403, "PUT", { origin: "null" }],
  ["a file's Origin", 403, "PATCH", { origin: "file://" }],
  ["an Origin that only begins like ours", 403, "POST", { origin: "http://HOST.evil.example.com" }],
  ["our own Origin", 200, "POST", { origin: "http://HOST" }],
  ["a proxy's Origin", 200, "POST", { origin: "https://HOST" }],
  ["a foreign page behind it", 403, "POST", { "sec-fetch-site": "cross-site" }],
  ["our page behind it", 200, "POST", { "sec-fetch-site": "same-origin", origin: "http://HOST" }],
  ["a foreign page that only looks", 200, "GET", { "sec-fetch-site": "cross-site", origin: "null" }],
])("createGate() answers a request with %s with %i", async (_, status, method, given) => {
  await using gated = await openGated(NONE);
  const host = `127.0.0.1:${gated.port}`;
  const headers = Object.entries(given).map(([name, value]) => [name, value.replace("HOST", host)] as const);
  const response = await fetch(`${gated.url}/api/x`, { method, headers: Object.fromEntries(headers) });
  expect(response.status).toBe(status);
  expect(response.headers.has("access-control-allow-origin")).toBe(false);
});

test("createGate() grants no other page anything when its browser asks first", async () => {
  await using gated = await openGated(NONE);
  const headers = { origin: "https://evil.example.com", "access-control-request-method": "PUT" };
  const preflight = await fetch(`${gated.url}/api/x`, { method: "OPTIONS", headers });
  expect([...preflight.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
});

test.each([
  ["a form", "application/x-www-form-urlencoded", 415],
  ["plain text", "text/plain", 415],
  ["a name that only begins so", "application/jsonp", 415],
  ["JSON", "application/json", 200],
  ["JSON with its charset", "Application/JSON; charset=utf-8", 200],
])("createGate() answers a body of %s", async (_, type, status) => {
  await using gated = await openGated(NONE);
  const init = { method: "POST", body: "{}", headers: { "content-type": type } };
  expect((await fetch(`${gated.url}/api/x`, init)).status).toBe(status);
});

test("createGate() wants no type of a write without a body", async () => {
  await using gated = await openGated(NONE);
  expect((await fetch(`${gated.url}/api/x`, { method: "POST" })).status).toBe(200);
});

test("createGate() takes a body of 1 MiB, and none that is larger", async () => {
  await using gated = await openGated(NONE);
  const send = async (body: string | ReadableStream) => {
    const response = await fetch(`${gated.url}/api/x`, { method: "POST", body, headers: JSON_TYPE });
    const answer = (await response.json()) as { status?: number; length?: number };
    return [response.status, answer.length ?? answer.status];
  };
  const stream = (length: number) => new Blob([" ".repeat(length)]).stream();
  expect(await send(" ".repeat(1_048_576))).toEqual([200, 1_048_576]);
  expect(await send(stream(1_048_576))).toEqual([200, 1_048_576]);
  expect(await send(" ".repeat(1_048_577))).toEqual([413, 413]);
  const head = "Content-Type: application/json\r\nTransfer-Encoding: chunked";
  const chunk = `100001\r\n${" ".repeat(0x100001)}\r\n`;
  const chunked = `POST /api/x HTTP/1.1\r\nHost: localhost:${gated.port}\r\n${head}\r\n\r\n${chunk}`;
  expect(await answerTo(gated, chunked)).toStartWith("HTTP/1.1 413");
  const announced = "Content-Type: application/json\r\nContent-Length: 1048577";
  const promise = `POST /api/x HTTP/1.1\r\nHost: localhost:${gated.port}\r\n${announced}\r\n\r\n`;
  expect(await answerTo(gated, promise)).toStartWith("HTTP/1.1 413");
});

test("createGate() does not wait for a body that stalls", async () => {
  await using gated = await openGated(NONE, { bodyWithinMs: 100 });
  const head = "Content-Type: application/json\r\nContent-Length: 10";
  const half = `POST /api/x HTTP/1.1\r\nHost: localhost:${gated.port}\r\n${head}\r\n\r\n{`;
  expect(await answerTo(gated, half)).toStartWith("HTTP/1.1 408");
});

test("createGate() asks for credentials everywhere but where all may read", async () => {
  await using gated = await openGated(testAuth(TOKEN));
  const statusOf = async (path: string, init?: RequestInit) =>
    (await fetch(`${gated.url}${path}`, init)).status;
  expect(await statusOf("/livez")).toBe(200);
  expect(await statusOf("/")).toBe(200);
  for (const path of ["/metrics", "/api/status", "/webhook/subscriptions", "/nothing", "/livez/x"]) {
    expect(await statusOf(path)).toBe(401);
    expect(await statusOf(path, { headers: bearer("wrong") })).toBe(401);
    expect(await statusOf(path, { headers: bearer(SECRET) })).toBe(200);
  }
  expect(await statusOf("/", { method: "POST" })).toBe(401);
});

test("createGate() refuses with a problem that can be read", async () => {
  await using gated = await openGated(testAuth(TOKEN));
  const response = await fetch(`${gated.url}/api/status`);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(response.headers.get("www-authenticate")).toBe('Bearer realm="relay"');
  expect(await response.json()).toEqual({
    type: "about:blank",
    title: "Unauthorized",
    status: 401,
    detail: "Credentials are needed",
  });
});

test("createGate() does not make a browser ask for a password where its page sent the request", async () => {
  await using gated = await openGated(testAuth(BASIC));
  const challengeTo = async (headers: Record<string, string>) =>
    (await fetch(`${gated.url}/api/status`, { headers })).headers.get("www-authenticate");
  expect(await challengeTo({})).toBe('Basic realm="relay", charset="UTF-8"');
  expect(await challengeTo({ "sec-fetch-dest": "empty" })).toBe('FormBased realm="relay", charset="UTF-8"');
  const response = await fetch(`${gated.url}/api/status`, { headers: basic("operator", SECRET) });
  expect(response.status).toBe(200);
});

test("createGate() names the scope that a token lacks", async () => {
  await using gated = await openGated(authOf({ kind: "jwt", subject: "shop", scopes: ["relay:read"] }));
  const response = await fetch(`${gated.url}/api/subscriptions/a/pause`, {
    method: "POST",
    headers: bearer("x"),
  });
  expect(response.status).toBe(403);
  expect(response.headers.get("www-authenticate")).toBe(
    'Bearer realm="relay", error="insufficient_scope", scope="relay:write"',
  );
  expect(await response.json()).toMatchObject({ detail: "The token lacks the scope relay:write" });
});

test("createGate() tells the routes whose subscriptions may be seen", async () => {
  await using gated = await openGated(authOf({ kind: "jwt", subject: "shop", scopes: ["relay:subscribe"] }));
  const get = (path: string) => fetch(`${gated.url}${path}`, { headers: bearer("x") });
  expect((await get("/api/subscriptions")).status).toBe(403);
  expect(await (await get("/webhook/subscriptions")).json()).toMatchObject({
    access: { kind: "application", application: "shop" },
  });
});

test("createGate() protects every answer from other pages, and keeps the API's out of caches", async () => {
  await using gated = await openGated(NONE);
  const api = await fetch(`${gated.url}/api/status`);
  expect(Object.fromEntries(api.headers)).toMatchObject({
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
  });
  const refused = await fetch(`${gated.url}/livez`, { headers: { host: "evil" } });
  expect(refused.headers.get("x-content-type-options")).toBe("nosniff");
  expect((await fetch(`${gated.url}/livez`)).headers.has("cache-control")).toBe(false);
});

test("createGate() asks nothing of the control socket but JSON of a bounded size", async () => {
  await using gated = await openGated(testAuth(TOKEN), { listen: null });
  const send = (init: RequestInit) =>
    fetch("http://any.name/api/x", { ...init, unix: gated.socket } as RequestInit);
  const foreign = { origin: "https://evil.example.com", "sec-fetch-site": "cross-site" };
  const written = await send({ method: "POST", body: "{}", headers: { ...JSON_TYPE, ...foreign } });
  expect(await written.json()).toEqual({ access: { kind: "all" }, length: 2 });
  expect((await send({ method: "POST", body: "{}" })).status).toBe(415);
  const large = await send({ method: "POST", body: " ".repeat(1_048_577), headers: JSON_TYPE });
  expect(large.status).toBe(413);
  expect((await fetch(`${gated.url}/livez`)).status).toBe(421);
});

test("createGate() tells an answer that lasts when its session, or its token, is over", async () => {
  const sessions = createSessions();
  const { value } = sessions.open({ identity: { kind: "operator" }, expiresAt: null });
  const ended: Auth = {
    kind: "jwt",
    authenticate: () =>
      Promise.resolve({ kind: "identified", identity: { kind: "operator" }, expiresAt: Date.now() - 1 }),
  };
  const server = new Hono<ServerEnv>();
  server.use(
    createGate({
      auth: ended,
      sessions,
      slots: createServerSlots(),
      listen: { host: "127.0.0.1", isLoopback: true },
      openPaths: new Set(),
      contextPaths: [],
    }),
  );
  const admitted: (() => boolean)[] = [];
  server.get("/api/lasting", (context) => {
    admitted.push(context.get("isStillAdmitted"));
    return context.text("");
  });
  const caller = { kind: "network", address: "127.0.0.1", port: 80, isSecure: false } as const;
  const get = async (headers: Readonly<Record<string, string>>) =>
    server.request(
      "http://localhost/api/lasting",
      { headers: { host: "localhost", ...headers } },
      { caller, over: AbortSignal.abort() },
    );
  await get({ cookie: `relay-session-80=${value}` });
  await get(bearer("a.b.c"));
  expect(admitted.map((isStillAdmitted) => isStillAdmitted())).toEqual([true, false]);
  sessions.close(value);
  expect(admitted[0]?.()).toBe(false);
});

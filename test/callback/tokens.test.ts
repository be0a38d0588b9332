// Access tokens from token endpoints that are slow, wrong, or not there: who waits, who asks again, what is told.

import { describe, expect, spyOn, test } from "bun:test";
import type { Socket } from "node:net";

import type { CallbackAuth } from "#delivery/callback.ts";
import type { Exception } from "#delivery/outcome.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/nats-server.ts";
import {
  type Answer,
  headerOf,
  type Receiver,
  startReceiver,
  startTcpReceiver,
} from "../support/receiver.ts";
import { startStopwatch } from "../support/stopwatch.ts";
import { toRoute, toTokenEndpoint } from "../support/subscription.ts";
import { toAssertion } from "./assertions.ts";
import { NEVER, openFullBacklog, openTestCallback, toMessage } from "./setup.ts";
import { TEST_CERT, TEST_KEY } from "./test-certificate.ts";

const OPTIONS = { mayResend: true, signal: NEVER };
const ONCE = { mayResend: false, signal: NEVER };
const TIMEOUT_MS = 600;
/** Timers of a busy machine. */
const LATE_MS = 500;
/** Well before an idle connection is closed, or a fetch gives up. */
const SOON = { withinMs: 1000 };
const SECRET = "client+secret & ü";

function toAuth(url: URL, changes: Partial<Extract<CallbackAuth, { kind: "oauth2" }>> = {}): CallbackAuth {
  return {
    kind: "oauth2",
    ...toTokenEndpoint(new URL("/token?key=of-the-query", url)),
    clientId: "relay app",
    clientSecret: SECRET,
    scopes: [],
    audience: null,
    clientAuthentication: "body",
    ...changes,
  };
}

function toTokenAnswer(members: Readonly<Record<string, unknown>>): Answer {
  return { status: 200, headers: { "Content-Type": "application/json" }, body: JSON.stringify(members) };
}

/** Each token has a number, from 1. */
function grant(index: number, expiresIn?: unknown): Answer {
  return toTokenAnswer({ access_token: `token-${index + 1}`, token_type: "bearer", expires_in: expiresIn });
}

/** A token endpoint that grants, unless told otherwise. */
function startTokenServer(expiresIn?: unknown): Promise<Receiver> {
  return startReceiver((_request, index) => grant(index, expiresIn));
}

function tokensOf(receiver: Receiver): (string | undefined)[] {
  return receiver.requests.map((request) => headerOf(request, "authorization"));
}

describe("the token request", () => {
  test("send() asks by a form, over the route of the callback, and brings the token", async () => {
    await using server = await startTokenServer();
    await using receiver = await startReceiver();
    const auth = toAuth(server.url, { scopes: ["a", "b"] });
    await using callback = openTestCallback(receiver.url, { auth });
    const exchange = await callback.send(toMessage(), OPTIONS);
    expect(exchange.outcome).toEqual({ kind: "delivered", status: 200 });
    const [request] = server.requests;
    expect(request).toMatchObject({ method: "POST", path: "/token?key=of-the-query" });
    const form = new URLSearchParams(request?.body.toString());
    expect(Object.fromEntries(form)).toEqual({
      grant_type: "client_credentials",
      scope: "a b",
      client_id: "relay app",
      client_secret: SECRET,
    });
    expect(request && headerOf(request, "content-type")).toBe("application/x-www-form-urlencoded");
    expect(request && headerOf(request, "accept")).toBe("application/json");
    expect(tokensOf(server)).toEqual([undefined]);
    expect(tokensOf(receiver)).toEqual(["Bearer token-1"]);
    await eventually(() => server.openConnections === 0, SOON);
  });

  test("send() asks for an audience and by further parameters, a name several times too", async () => {
    await using server = await startTokenServer();
    await using receiver = await startReceiver();
    const auth = toAuth(server.url, {
      audience: "https://api.example/",
      parameters: [
        ["resource", "https://a.example/"],
        ["resource", "https://b.example/"],
        ["tenant", "n\u00f6rd & co"],
      ],
    });
    await using callback = openTestCallback(receiver.url, { auth });
    await callback.send(toMessage(), OPTIONS);
    const form = new URLSearchParams(server.requests[0]?.body.toString());
    expect([form.get("audience"), form.getAll("resource"), form.get("tenant")]).toEqual([
      "https://api.example/",
      ["https://a.example/", "https://b.example/"],
      "n\u00f6rd & co",
    ]);
  });

  test("send() sends further parameters beside an assertion", async () => {
    await using server = await startTokenServer();
    const endpoint = toTokenEndpoint(server.url);
    const parameters = [["scope", "a b"]] as const;
    const auth = { kind: "jwt-profile", ...endpoint, parameters, assertion: toAssertion() } as const;
    await using callback = openTestCallback(server.url, { auth });
    await callback.send(toMessage(), OPTIONS);
    const form = new URLSearchParams(server.requests[0]?.body.toString());
    expect([...form.keys()]).toEqual(["grant_type", "assertion", "scope"]);
  });

  test("send() encodes id and secret for Basic as RFC 6749 asks", async () => {
    await using server = await startTokenServer();
    await using receiver = await startReceiver();
    const auth = toAuth(server.url, { clientAuthentication: "basic" });
    await using callback = openTestCallback(receiver.url, { auth });
    await callback.send(toMessage(), OPTIONS);
    expect(tokensOf(server)).toEqual([`Basic ${btoa("relay+app:client%2Bsecret+%26+%C3%BC")}`]);
    expect(server.requests[0]?.body.toString()).toBe("grant_type=client_credentials");
  });

  test("send() through an HTTP proxy asks it for the whole URL, and a 407 is the proxy's failure", async () => {
    let isOpen = false;
    await using proxy = await startReceiver((_request, index) => (isOpen ? grant(index) : 407));
    const server = {
      type: "http",
      host: "127.0.0.1",
      port: proxy.port,
      username: "u",
      password: "p-word",
    } as const;
    const route = toRoute({ proxy: { kind: "fixed", proxy: server } });
    const auth = toAuth(new URL("http://as.example/"));
    await using callback = openTestCallback(new URL("http://callback.example/in"), { auth, route });
    expect((await callback.send(toMessage(), OPTIONS)).outcome).toEqual({
      kind: "exception",
      code: "token",
      error:
        "Cannot get an access token from http://as.example/token: cannot reach as.example:80: the proxy does not accept the credentials",
    });
    isOpen = true;
    expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
    expect(proxy.requests.map(({ path }) => path)).toEqual([
      "http://as.example/token?key=of-the-query",
      "http://as.example/token?key=of-the-query",
      "http://callback.example/in",
    ]);
    const credentials = proxy.requests.map((request) => headerOf(request, "proxy-authorization"));
    expect(new Set(credentials)).toEqual(new Set([`Basic ${btoa("u:p-word")}`]));
  });

  test("send() makes an assertion for each request", async () => {
    await using server = await startTokenServer();
    await using receiver = await startReceiver((_request, index) => (index === 0 ? 401 : 200));
    const auth: CallbackAuth = {
      kind: "jwt-profile",
      ...toTokenEndpoint(server.url),
      assertion: toAssertion(),
    };
    await using callback = openTestCallback(receiver.url, { auth });
    expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
    const forms = server.requests.map(({ body }) => new URLSearchParams(body.toString()));
    expect(forms.map((form) => [...form.keys()])).toEqual([
      ["grant_type", "assertion"],
      ["grant_type", "assertion"],
    ]);
    expect(new Set(forms.map((form) => form.get("assertion"))).size).toBe(2);
  });

  test("send() with a key that cannot sign asks for nothing", async () => {
    await using server = await startTokenServer();
    const assertion = toAssertion({ algorithm: "RS256", key: { kind: "rsa", pem: "garbage" } });
    const auth: CallbackAuth = { kind: "jwt-profile", ...toTokenEndpoint(server.url), assertion };
    await using callback = openTestCallback(server.url, { auth });
    expect((await callback.send(toMessage(), OPTIONS)).outcome).toMatchObject({ code: "token" });
    expect(server.requests).toEqual([]);
  });
});

describe("one token for all", () => {
  test("send() 50 times at once asks for one token", async () => {
    await using server = await startTokenServer(60);
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url), connections: 20 });
    const sends = Array.from({ length: 50 }, () => callback.send(toMessage(), OPTIONS));
    for (const exchange of await Promise.all(sends)) expect(exchange.outcome.kind).toBe("delivered");
    expect(server.requests.length).toBe(1);
  });

  test("send() 50 times at once shares a failure, and the next one asks again at once", async () => {
    await using server = await startReceiver((_request, index) => (index === 0 ? 503 : grant(index)));
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url), connections: 20 });
    const sends = Array.from({ length: 50 }, () => callback.send(toMessage(), OPTIONS));
    for (const { outcome } of await Promise.all(sends)) expect(outcome).toMatchObject({ code: "token" });
    expect(server.requests.length).toBe(1);
    expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
    expect(receiver.requests.length).toBe(1);
  });

  test("send() that is aborted while it waits leaves the fetch to the others", async () => {
    const held = Promise.withResolvers<Answer>();
    await using server = await startReceiver(() => held.promise);
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url), connections: 2 });
    const controller = new AbortController();
    const first = callback.send(toMessage("first"), { mayResend: true, signal: controller.signal });
    const second = callback.send(toMessage("second"), OPTIONS);
    await eventually(() => server.requests.length === 1);
    controller.abort();
    expect(await first).toMatchObject({ aborted: true, sent: false });
    held.resolve(grant(0));
    expect((await second).outcome.kind).toBe("delivered");
    expect(server.requests.length).toBe(1);
    expect(receiver.requests.map(({ body }) => body.toString())).toEqual(["second"]);
  });

  test("send() 20 times at once, all answered with 401, asks for one new token", async () => {
    const together = Promise.withResolvers<null>();
    await using server = await startTokenServer();
    await using receiver = await startReceiver(async (request, index) => {
      if (index === 19) together.resolve(null);
      await together.promise;
      return headerOf(request, "authorization") === "Bearer token-2" ? 200 : 401;
    });
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url), connections: 20 });
    const sends = Array.from({ length: 20 }, () => callback.send(toMessage(), OPTIONS));
    for (const exchange of await Promise.all(sends)) expect(exchange.outcome.kind).toBe("delivered");
    expect(server.requests.length).toBe(2);
    expect(receiver.requests.length).toBe(40);
  });
});

const HOUR_MS = 3_600_000;

/** Of `performance.now`: it moves when it is turned. */
function stopClock(): Disposable & { readonly turn: (ms: number) => void } {
  let time = performance.now();
  const spy = spyOn(performance, "now").mockImplementation(() => time);
  return { turn: (ms) => void (time += ms), [Symbol.dispose]: () => spy.mockRestore() };
}

describe("renewal", () => {
  test("send() renews a token before it ends, while the old one serves", async () => {
    const renewal = Promise.withResolvers<null>();
    await using server = await startReceiver(async (_request, index) => {
      if (index > 0) await renewal.promise;
      return grant(index, 3600);
    });
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    using clock = stopClock();
    const send = async () =>
      expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
    await send();
    clock.turn(0.7 * HOUR_MS);
    await send();
    expect(server.requests.length).toBe(1);
    clock.turn(0.29 * HOUR_MS);
    await send();
    await eventually(() => server.requests.length === 2);
    await send();
    expect(new Set(tokensOf(receiver))).toEqual(new Set(["Bearer token-1"]));
    renewal.resolve(null);
    await eventually(async () => {
      await send();
      return tokensOf(receiver).at(-1) === "Bearer token-2";
    });
    expect(server.requests.length).toBe(2);
  });

  test("send() keeps the old token where a renewal fails, and does not ask again at once", async () => {
    await using server = await startReceiver((_request, index) => (index === 0 ? grant(index, 3600) : 500));
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    using clock = stopClock();
    await callback.send(toMessage(), OPTIONS);
    clock.turn(0.9 * HOUR_MS);
    await callback.send(toMessage(), OPTIONS);
    await eventually(() => server.requests.length === 2);
    for (let index = 0; index < 20; index += 1) {
      expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
      expect(await callback.prepare(NEVER)).toBeNull();
    }
    expect(server.requests.length).toBe(2);
    clock.turn(0.2 * HOUR_MS);
    const { outcome } = await callback.send(toMessage(), OPTIONS);
    expect(outcome).toMatchObject({ kind: "exception", code: "token" });
  });

  test.each<[string, (index: number) => Answer, string]>([
    ["waits for the renewal of a token that is about to end", (index) => grant(index, 60), "Bearer token-2"],
    ["is content with the old token where that renewal fails", () => 500, "Bearer token-1"],
  ])("prepare() %s", async (_what, renew, used) => {
    const asked = Promise.withResolvers<null>();
    const held = Promise.withResolvers<null>();
    await using server = await startReceiver(async (_request, index) => {
      if (index === 0) return grant(index, 3600);
      asked.resolve(null);
      await held.promise;
      return renew(index);
    });
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    using clock = stopClock();
    expect(await callback.prepare(NEVER)).toBeNull();
    clock.turn(HOUR_MS - 500);
    const preparing = callback.prepare(NEVER);
    await asked.promise;
    held.resolve(null);
    expect(await preparing).toBeNull();
    await callback.send(toMessage(), ONCE);
    expect(tokensOf(receiver)).toEqual([used]);
  });

  test.each([undefined, null, 0, -1, "soon", {}, "3600", 1e300])(
    "send() keeps a token whose expires_in is %p until a 401",
    async (expiresIn) => {
      await using server = await startTokenServer(expiresIn);
      await using receiver = await startReceiver((_request, index) => (index === 2 ? 401 : 200));
      await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
      for (let index = 0; index < 3; index += 1) {
        expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
      }
      const expected = ["token-1", "token-1", "token-1", "token-2"].map((token) => `Bearer ${token}`);
      expect(tokensOf(receiver)).toEqual(expected);
      expect(server.requests.length).toBe(2);
    },
  );
});

describe("Retry-After of a token endpoint", () => {
  const asking = (status: number, seconds: number) => ({
    status,
    headers: { "retry-after": String(seconds) },
  });

  test.each([429, 503])("send() asks no more after a %d that asks for a pause", async (status) => {
    await using server = await startReceiver(() => asking(status, 3600));
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    for (let index = 0; index < 5; index += 1) {
      const { outcome } = await callback.send(toMessage(), OPTIONS);
      expect((outcome as Exception).error).toContain(`answered ${status}`);
      expect((outcome as Exception).retryAfterMs).toBeWithin(59_000, 60_001);
      expect(await callback.prepare(NEVER)).toMatchObject({ code: "token" });
    }
    expect(server.requests.length).toBe(1);
    expect(receiver.connections).toBe(0);
  });

  test("send() is held by no longer pause than the subscription allows", async () => {
    await using server = await startReceiver(() => asking(429, 3600));
    await using callback = openTestCallback(server.url, { auth: toAuth(server.url), maxPauseMs: 5000 });
    const { outcome } = await callback.send(toMessage(), OPTIONS);
    expect((outcome as Exception).retryAfterMs).toBe(5000);
  });

  test("send() asks again once the pause is over", async () => {
    await using server = await startReceiver((_request, index) =>
      index === 0 ? asking(429, 1) : grant(index),
    );
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    using watch = startStopwatch();
    await eventually(async () => (await callback.send(toMessage(), OPTIONS)).outcome.kind === "delivered");
    watch.expectWithin(990, Number.POSITIVE_INFINITY);
    expect(server.requests.length).toBe(2);
  });

  test("send() heeds no other status, and no 503 that does not ask", async () => {
    await using server = await startReceiver((_request, index) => (index === 0 ? asking(500, 3600) : 503));
    await using callback = openTestCallback(server.url, { auth: toAuth(server.url) });
    for (let index = 0; index < 3; index += 1) {
      const { outcome } = await callback.send(toMessage(), OPTIONS);
      expect((outcome as Exception).retryAfterMs).toBeUndefined();
    }
    expect(server.requests.length).toBe(3);
  });

  test("send() uses the token that still holds while its renewal is to wait", async () => {
    await using server = await startReceiver((_request, index) =>
      index === 0 ? grant(index, 3600) : asking(503, 3600),
    );
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    using clock = stopClock();
    await callback.send(toMessage(), OPTIONS);
    clock.turn(HOUR_MS - 20_000);
    expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
    await eventually(() => server.requests.length === 2);
    expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
    clock.turn(30_000);
    expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("exception");
    expect(server.requests.length).toBe(2);
  });
});

describe("a 401", () => {
  test("send() 30 times to a callback that refuses every token asks for two", async () => {
    await using server = await startTokenServer();
    await using receiver = await startReceiver(() => 401);
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url), connections: 5 });
    for (let index = 0; index < 10; index += 1) {
      const sends = Array.from({ length: 3 }, () => callback.send(toMessage(), OPTIONS));
      for (const { outcome } of await Promise.all(sends)) expect(outcome).toMatchObject({ status: 401 });
    }
    expect(server.requests.length).toBe(2);
  });

  test("send() with a token that is refused while young gets another after a second, and the next after two more", async () => {
    await using server = await startTokenServer();
    await using receiver = await startReceiver((request) =>
      headerOf(request, "authorization") === "Bearer token-3" ? 200 : 401,
    );
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    using watch = startStopwatch();
    expect((await callback.send(toMessage(), OPTIONS)).outcome).toMatchObject({ status: 401 });
    watch.expectWithin(1000, 1500);
    await eventually(async () => (await callback.send(toMessage(), OPTIONS)).outcome.kind === "delivered");
    watch.expectWithin(3000, 4000);
    expect(server.requests.length).toBe(3);
  });

  test("send() with a token that is refused after it was good for a while gets another at once", async () => {
    await using server = await startTokenServer();
    await using receiver = await startReceiver((_request, index) => (index === 1 ? 401 : 200));
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    await callback.send(toMessage(), OPTIONS);
    using watch = startStopwatch();
    {
      using clock = stopClock();
      clock.turn(10_000);
      expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
    }
    watch.expectWithin(0, LATE_MS);
    expect(server.requests.length).toBe(2);
  });

  test("close() ends the wait for a replacement", async () => {
    await using server = await startTokenServer();
    await using receiver = await startReceiver(() => 401);
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    const sending = callback.send(toMessage(), OPTIONS);
    await eventually(() => receiver.requests.length === 1);
    await callback.close(0);
    using watch = startStopwatch();
    await sending;
    watch.expectWithin(0, LATE_MS);
    expect(server.requests.length).toBe(1);
  });

  test("send() lets a second 401 stand", async () => {
    await using server = await startTokenServer();
    await using receiver = await startReceiver(() => ({ status: 401, body: "no" }));
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    const exchange = await callback.send(toMessage(), OPTIONS);
    expect(exchange.outcome).toMatchObject({ kind: "rejected", status: 401, retryAfterMs: null });
    expect(exchange.response?.body).toEqual(new TextEncoder().encode("no"));
    expect(tokensOf(receiver)).toEqual(["Bearer token-1", "Bearer token-2"]);
    expect(exchange.resends).toBe(0);
  });

  test("send() answered with 401 uses the token that another one has got meanwhile", async () => {
    const late = Promise.withResolvers<number>();
    await using server = await startTokenServer();
    await using receiver = await startReceiver(({ body }, index) => {
      if (index > 1) return 200;
      return body.toString() === "late" ? late.promise : 401;
    });
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url), connections: 2 });
    const sending = callback.send(toMessage("late"), OPTIONS);
    await eventually(() => receiver.requests.length === 1);
    expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
    late.resolve(401);
    expect((await sending).outcome.kind).toBe("delivered");
    expect(server.requests.length).toBe(2);
    const [one, two] = ["Bearer token-1", "Bearer token-2"];
    expect(tokensOf(receiver)).toEqual([one, one, two, two]);
  });

  test("send() answered with 401 was sent, though it cannot be sent again", async () => {
    await using receiver = await startReceiver(() => ({ status: 401, headers: { Connection: "close" } }));
    await using server = await startReceiver(async (_request, index) => {
      if (index > 0) await receiver[Symbol.asyncDispose]();
      return grant(index);
    });
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    const exchange = await callback.send(toMessage(), OPTIONS);
    expect(exchange).toMatchObject({ sent: true, outcome: { kind: "exception", code: "connect" } });
  });

  test("send() answered with 401 whose token cannot be renewed is an exception, and was sent", async () => {
    await using server = await startReceiver((_request, index) => (index === 0 ? grant(index) : 503));
    await using receiver = await startReceiver(() => 401);
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    const exchange = await callback.send(toMessage(), OPTIONS);
    expect(exchange).toMatchObject({
      sent: true,
      response: null,
      outcome: { kind: "exception", code: "token" },
    });
    expect(receiver.requests.length).toBe(1);
  });

  test("send() has one deadline over both requests and the renewal", async () => {
    const limitMs = 2000;
    await using server = await startTokenServer();
    await using receiver = await startReceiver(async (_request, index) => {
      if (index === 0) return 401;
      await Bun.sleep(limitMs);
      return 200;
    });
    await using callback = openTestCallback(receiver.url, {
      auth: toAuth(server.url),
      readTimeoutMs: limitMs,
    });
    using watch = startStopwatch();
    const exchange = await callback.send(toMessage(), OPTIONS);
    expect(exchange.outcome).toMatchObject({ kind: "exception", code: "timeout" });
    watch.expectWithin(limitMs - 2, limitMs + LATE_MS);
    expect(receiver.requests.length).toBe(2);
  });

  test.each<CallbackAuth>([
    { kind: "none" },
    { kind: "basic", username: "u", password: "p" },
    { kind: "token", value: "fixed" },
  ])("send() with auth %j does nothing about it", async (auth) => {
    await using receiver = await startReceiver(() => 401);
    await using callback = openTestCallback(receiver.url, { auth });
    expect((await callback.send(toMessage(), OPTIONS)).outcome).toMatchObject({
      kind: "rejected",
      status: 401,
    });
    expect(receiver.requests.length).toBe(1);
  });
});

describe("a token endpoint that fails", () => {
  async function failWith(url: URL, changes: { readonly readTimeoutMs?: number } = {}) {
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: toAuth(url), ...changes });
    using watch = startStopwatch();
    const startMs = performance.now();
    const exchange = await callback.send(toMessage(), OPTIONS);
    const sendMs = performance.now() - startMs - watch.stalledMs();
    const prepared = await callback.prepare(NEVER);
    const { code, error } = exchange.outcome as Exception;
    expect(exchange).toMatchObject({ sent: false, aborted: false, response: null });
    expect(prepared).toEqual({ kind: "exception", code, error });
    expect(receiver.connections).toBe(0);
    const text = JSON.stringify(exchange);
    for (const secret of [SECRET, "client%2Bsecret", "of-the-query"]) expect(text).not.toContain(secret);
    const prefix = `Cannot get an access token from ${url.origin}/token: `;
    expect(error.slice(0, prefix.length)).toBe(prefix);
    return { code, reason: error.slice(prefix.length), sendMs };
  }

  const json = (status: number, members: unknown): Answer => ({ status, body: JSON.stringify(members) });

  test.each<[Answer, string]>([
    [400, "it answered 400"],
    [407, "it answered 407"],
    [500, "it answered 500"],
    [304, "it answered 304, and redirects are not followed"],
    [
      { status: 302, headers: { Location: "http://127.0.0.1:9/" } },
      "it answered 302, and redirects are not followed",
    ],
    [json(400, { error: "invalid_client" }), "it answered 400 invalid_client"],
    [
      json(400, { error: "invalid_scope", error_description: "No such scope" }),
      "it answered 400 invalid_scope (No such scope)",
    ],
    [json(400, { error: "a b" }), "it answered 400"],
    [json(400, { error: "x".repeat(65) }), "it answered 400"],
    [json(400, { error: "bad", error_description: "two\nlines" }), "it answered 400 bad"],
    [json(400, { error: "bad", error_description: "x".repeat(201) }), "it answered 400 bad"],
    [
      json(400, { error: "bad", error_description: `not client+secret & u` }),
      "it answered 400 bad (not client+secret & u)",
    ],
    [
      json(400, { error: "bad", error_description: "client%2Bsecret+%26+%C3%BC is wrong" }),
      "it answered 400 bad",
    ],
    [json(400, { error_description: "alone" }), "it answered 400"],
    [json(400, ["invalid_client"]), "it answered 400"],
    [200, "its answer is not a JSON object"],
    [{ status: 200, body: "access_token=abc&token_type=bearer" }, "its answer is not a JSON object"],
    [json(200, null), "its answer is not a JSON object"],
    [json(200, ["token"]), "its answer is not a JSON object"],
    [json(200, { token: "abc" }), "its answer has no access_token"],
    [json(200, { access_token: "" }), "its answer has no access_token"],
    [json(200, { error: "invalid_grant" }), "its answer has no access_token invalid_grant"],
    [json(200, { access_token: 7 }), "its access_token has characters that no header can hold"],
    [
      json(200, { access_token: "a\r\nX-Evil: 1" }),
      "its access_token has characters that no header can hold",
    ],
    [json(200, { access_token: "two words" }), "its access_token has characters that no header can hold"],
    [json(200, { access_token: "t\u00f6ken" }), "its access_token has characters that no header can hold"],
    [json(200, { access_token: "abc", token_type: "mac" }), "its token_type is not Bearer"],
    [json(200, { access_token: "abc", token_type: "JWT" }), "its token_type is not Bearer"],
    [json(200, { access_token: "abc", token_type: 1 }), "its token_type is not Bearer"],
  ])("send() answered with %j is an exception", async (answer, reason) => {
    await using server = await startReceiver(() => answer);
    expect(await failWith(server.url)).toMatchObject({ code: "token", reason });
    expect(server.requests.length).toBe(2);
    await eventually(() => server.openConnections === 0, SOON);
  });

  test("send() answered with a token in 70 KB is an exception", async () => {
    const body = JSON.stringify({ access_token: "abc", rest: "x".repeat(70_000) });
    await using server = await startReceiver(() => ({ status: 200, body }));
    expect(await failWith(server.url)).toMatchObject({ code: "token", reason: "its answer is too long" });
  });

  test.each(["Bearer", "BEARER", "bearer", null, undefined])(
    "send() takes the token type %p",
    async (token_type) => {
      await using server = await startReceiver(() => toTokenAnswer({ access_token: "abc", token_type }));
      await using receiver = await startReceiver();
      await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
      expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
    },
  );

  test.each<[string, (socket: Socket) => void, string]>([
    ["closes at once", (socket) => socket.end(), "broke before the answer was complete"],
    ["resets", (socket) => socket.resetAndDestroy(), "broke before the answer was complete"],
    ["speaks no HTTP", (socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n"), "not HTTP/1.1"],
    [
      "answers without end",
      (socket) => {
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        const more = () => {
          while (!socket.destroyed && socket.write(`1000\r\n${"x".repeat(4096)}\r\n`));
        };
        socket.on("drain", more);
        more();
      },
      "its answer is too long",
    ],
  ])("send() is an exception where it %s", async (_what, act, reason) => {
    await using server = await startTcpReceiver((socket) => socket.once("data", () => act(socket)));
    const failure = await failWith(server.url);
    expect(failure.code).toBe("token");
    expect(failure.reason).toContain(reason);
    await eventually(() => server.openConnections === 0, SOON);
  });

  test.each<[string, (socket: Socket) => void]>([
    ["is silent", (socket) => socket.resume()],
    [
      "stalls",
      (socket) => socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")),
    ],
  ])("send() and prepare() end after the read timeout, exactly, where it %s", async (_what, act) => {
    await using server = await startTcpReceiver(act);
    const failure = await failWith(server.url, { readTimeoutMs: TIMEOUT_MS });
    expect(failure).toMatchObject({ code: "token", reason: `it did not answer within ${TIMEOUT_MS} ms` });
    expect(failure.sendMs).toBeLessThan(TIMEOUT_MS + LATE_MS);
    await eventually(() => server.openConnections === 0, SOON);
  });

  test("send() tells why it cannot be reached", async () => {
    const port = await freePort();
    expect(await failWith(new URL(`http://127.0.0.1:${port}/`))).toMatchObject({
      code: "token",
      reason: `cannot reach 127.0.0.1:${port}: connection refused`,
    });
    expect(await failWith(new URL("http://no-such-host.invalid/"))).toMatchObject({
      code: "token",
      reason: "cannot reach no-such-host.invalid:80: name not found",
    });
  });

  test("send() tells that its address is not allowed, and says so by its code", async () => {
    await using server = await startTokenServer();
    const addresses = { allow: [], deny: ["127.0.0.0/8"], deniesPrivate: false };
    await using callback = openTestCallback(new URL("http://callback.example/"), {
      auth: toAuth(server.url),
      route: toRoute({ addresses }),
    });
    const { outcome } = await callback.send(toMessage(), OPTIONS);
    expect(outcome).toMatchObject({ kind: "exception", code: "address-denied" });
    expect((outcome as Exception).error).toStartWith(
      `Cannot get an access token from ${server.url.origin}/token: `,
    );
    expect(server.connections).toBe(0);
  });

  test("send() tells that its certificate cannot be trusted", async () => {
    await using server = await startReceiver(() => 200, { tls: { key: TEST_KEY, cert: TEST_CERT } });
    const { code, reason } = await failWith(server.url);
    expect(code).toBe("token");
    expect(reason).toContain(`cannot reach ${server.url.host} by TLS: certificate is`);
    expect(server.requests).toEqual([]);
  });
});

describe("token_type", () => {
  test.each([
    ["Bearer", "bearer"],
    ["Bearer", " BEARER "],
    ["Bearer", "Bearer\t"],
    ["Bearer", null],
    ["BearerToken", "BearerToken"],
    ["BearerToken", "bearer token"],
    ["jwt", "JWT"],
    ["JWT", "Bearer"],
  ])("send() where %p is configured takes %p, and signs in by Bearer", async (tokenType, answered) => {
    await using server = await startReceiver(() =>
      toTokenAnswer({ access_token: "abc", token_type: answered }),
    );
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url, { tokenType }) });
    expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
    expect(tokensOf(receiver)).toEqual(["Bearer abc"]);
  });
});

describe("ending", () => {
  test("prepare() and send() end at once when their signal aborts while they wait for a token", async () => {
    await using server = await startReceiver(() => new Promise(() => {}));
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url), connections: 2 });
    const controller = new AbortController();
    const sending = callback.send(toMessage(), { mayResend: true, signal: controller.signal });
    const preparing = callback.prepare(controller.signal);
    await eventually(() => server.requests.length === 1);
    using watch = startStopwatch();
    controller.abort();
    expect(await sending).toMatchObject({ aborted: true, sent: false });
    expect(await preparing).toMatchObject({ kind: "exception" });
    watch.expectWithin(0, LATE_MS);
    expect(receiver.connections).toBe(0);
  });

  test("prepare() ends at once when its signal aborts at once", async () => {
    await using backlog = await openFullBacklog();
    await using callback = openTestCallback(backlog.url);
    const controller = new AbortController();
    using watch = startStopwatch();
    const preparing = callback.prepare(controller.signal);
    controller.abort();
    expect(await preparing).toMatchObject({ kind: "exception" });
    watch.expectWithin(0, LATE_MS);
  });

  test("close() waits for a send that waits for its token, and leaves no connection", async () => {
    const held = Promise.withResolvers<Answer>();
    await using server = await startReceiver(() => held.promise);
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    const sending = callback.send(toMessage(), OPTIONS);
    await eventually(() => server.requests.length === 1);
    const closing = callback.close(5000);
    held.resolve(grant(0));
    expect((await sending).outcome.kind).toBe("delivered");
    await closing;
    await eventually(() => server.openConnections === 0 && receiver.openConnections === 0, SOON);
  });

  test("close() ends what waits for a token after the grace time, and the fetch", async () => {
    await using server = await startReceiver(() => new Promise(() => {}));
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    const sending = callback.send(toMessage(), OPTIONS);
    const preparing = callback.prepare(NEVER);
    await eventually(() => server.requests.length === 1);
    await callback.close(20);
    expect(await sending).toMatchObject({ aborted: true, sent: false });
    expect(await preparing).toMatchObject({ kind: "exception" });
    await eventually(() => server.openConnections === 0, SOON);
    expect(server.requests.length).toBe(1);
  });
});

describe("what is shown", () => {
  test.each<[string, (url: URL) => CallbackAuth, string]>([
    ["an access token", toAuth, "Bearer ***"],
    ["a fixed token", () => ({ kind: "token", value: "token-1" }), "Bearer ***"],
    ["a password", () => ({ kind: "basic", username: "u", password: "token-1" }), "Basic ***"],
  ])("send() shows the request without %s", async (_what, authOf, shown) => {
    await using server = await startTokenServer();
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { auth: authOf(server.url) });
    const exchange = await callback.send(toMessage(), OPTIONS);
    const { headers } = exchange.request;
    expect(headers[headers.indexOf("Authorization") + 1]).toBe(shown);
    const sent = tokensOf(receiver)[0] ?? "";
    expect(sent.length).toBeGreaterThan(10);
    expect(Bun.inspect(exchange) + JSON.stringify(exchange)).not.toContain(sent.split(" ")[1]);
  });

  test("send() gives what hides the newest access tokens from a response that repeats them, and no later ones", async () => {
    await using server = await startReceiver((_request, index) => grant(100_000_000 + index));
    await using receiver = await startReceiver((_request, index) => (index === 1 ? 200 : 401));
    await using callback = openTestCallback(receiver.url, { auth: toAuth(server.url) });
    const renewed = await callback.send(toMessage(), OPTIONS);
    expect(renewed.outcome.kind).toBe("delivered");
    const repeated = tokensOf(receiver).join();
    expect(repeated).toBe("Bearer token-100000001,Bearer token-100000002");
    expect(renewed.mask(repeated)).toBe("Bearer ***,Bearer ***");
    await callback.send(toMessage(), OPTIONS);
    // What became a token afterwards did not go into this one.
    const others = "token-100000001, token-100000002, token-100000003";
    expect(renewed.mask(others)).toBe("***, ***, token-100000003");
  });

  test("send() without secrets leaves a response as it is", async () => {
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url);
    const { mask } = await callback.send(toMessage(), OPTIONS);
    expect(mask("as it is")).toBe("as it is");
  });

  test.each([
    ["Bearer abc.def", "Bearer ***"],
    ["basic YTpi", "basic ***"],
    ["abc def", "***"],
    ["abc", "***"],
    ["", "***"],
  ])("send() shows a configured Authorization %p as %p", async (value, shown) => {
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { headers: [["authorization", value]] });
    const { headers } = (await callback.send(toMessage(), OPTIONS)).request;
    expect(headers[headers.indexOf("authorization") + 1]).toBe(shown);
    expect(tokensOf(receiver)).toEqual([value]);
  });
});

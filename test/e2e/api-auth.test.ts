// Who may come in, through the binary: each kind of `server.auth`, an authority that changes its keys, and TLS.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { exportSPKI } from "jose";
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createKey, signToken, type SigningKey, startAuthority } from "../http/authority.ts";
import { basic, bearer } from "../http/gated.ts";
import { type Api, openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { type RelayProcess, startRelay, temporaryDirectory } from "../support/relay.ts";
import { createCertificates } from "../support/tls.ts";

const SECRET = "secret-of-the-listener";
const KEY = Buffer.alloc(32, 1).toString("base64");
const CALLBACK = "https://callback.example.com/";
const RSA = await createKey("RS256");

let stack: AsyncDisposableStack;
let nats: NatsServer;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
  await addStream(await nats.connect(), { name: "ORDERS", subjects: ["orders.>"] });
});
afterAll(() => stack.disposeAsync());

interface Guarded extends AsyncDisposable {
  readonly relay: RelayProcess;
  readonly url: string;
  readonly directory: string;
  /** With these credentials. */
  readonly as: (headers: Readonly<Record<string, string>>) => Promise<Api>;
  readonly overSocket: () => Promise<Api>;
}

let guards = 0;

async function start(server: object): Promise<Guarded> {
  guards += 1;
  const directory = await temporaryDirectory();
  const config = testConfig({
    natsUrl: nats.url,
    callbackUrl: CALLBACK,
    subscription: { channel: `orders.${guards}` },
    more: {
      server: { listen: "127.0.0.1:0", ...server },
      state: { bucket: `bucket-${guards}`, key: KEY },
    },
  });
  const shop = {
    id: "of-the-shop",
    application: "shop",
    configuration: { entrypointId: "webhook", channel: "orders.shop" },
  };
  const defaults = { ...(config["entrypoints"] as [object])[0], configuration: { callbackUrl: CALLBACK } };
  const relay = await startRelay({
    config: { ...config, entrypoints: [defaults], subscriptions: [...(config["subscriptions"] as []), shop] },
    directory: directory.path,
  });
  const url = await relay.url();
  const socket = join(directory.path, ".relay", "relay.sock");
  return {
    relay,
    url,
    directory: directory.path,
    as: (headers) => openApi(url, { headers }),
    overSocket: () => openApi("http://localhost", { socket }),
    async [Symbol.asyncDispose]() {
      await relay[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

const OPEN = ["/livez", "/readyz", "/openapi.json", "/api/session"];
const GUARDED = ["/metrics", "/api/status", "/api/config", "/api/subscriptions", "/webhook/subscriptions"];

const statusOf = async (api: Api, path = "/api/status") => (await api("GET", path)).status;

test.concurrent.each([
  ["token", { type: "token", value: SECRET }, bearer(SECRET), bearer],
  ["basic", { type: "basic", username: "me", password: SECRET }, basic("me", SECRET), basic.bind(null, "me")],
] as const)(
  "server.auth %s opens all to who has it, and to nobody else but on the control socket",
  async (_, auth, right, toWrong) => {
    await using guarded = await start({ auth });
    const [nobody, owner, local] = [
      await guarded.as({}),
      await guarded.as(right),
      await guarded.overSocket(),
    ];
    for (const path of OPEN) expect([200, 503]).toContain(await statusOf(nobody, path));
    for (const path of GUARDED) {
      const statuses = await Promise.all([nobody, owner, local].map((api) => statusOf(api, path)));
      expect([path, ...statuses]).toEqual([path, 401, 200, 200]);
    }
    const sessions = await Promise.all([nobody, local].map((api) => api("GET", "/api/session")));
    expect(sessions.map(({ body }) => body.signedIn)).toEqual([false, true]);
    expect((await owner("POST", "/api/subscriptions/sub/pause")).status).toBe(200);
    expect((await nobody("POST", "/api/subscriptions/sub/resume")).status).toBe(401);
    const guess = async (what: number) =>
      fetch(`${guarded.url}/api/status`, { headers: toWrong(`guess-${what}`) });
    for (let tried = 0; tried < 10; tried += 1) expect((await guess(tried)).status).toBe(401);
    // A slow machine is given another try now and then: many at once are not.
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => guess(index)));
    const throttled = answers.find(({ status }) => status === 429);
    expect(throttled?.headers.get("retry-after")).toBe("1");
    // From the same address, as all who come through one proxy.
    const guessing = Array.from({ length: 20 }, (_, index) => guess(100 + index));
    for (let time = 0; time < 10; time += 1) expect(await statusOf(owner)).toBe(200);
    await Promise.all(guessing);
    expect(await statusOf(local)).toBe(200);
    const log = JSON.stringify(guarded.relay.logs);
    for (const secret of [SECRET, "guess-"]) expect(log).not.toContain(secret);
  },
);

test.concurrent("/readyz names a subscription only to who may read everything", async () => {
  await using authority = await startAuthority(RSA);
  await using guarded = await start({ auth: toSettings(authority) });
  const local = await guarded.overSocket();
  await local("POST", "/api/subscriptions/of-the-shop/pause");
  const textFor = async (api: Api) => JSON.stringify((await api("GET", "/readyz")).body);
  await eventually(async () => (await textFor(local)).includes("of-the-shop"));
  const withScope = async (scope: string) => guarded.as(bearer(await signToken(RSA, { scope })));
  expect(await textFor(await withScope("relay:read"))).toContain("Subscription of-the-shop: Paused");
  for (const headers of [{}, bearer("wrong"), bearer(await signToken(RSA, { scope: "relay:subscribe" }))]) {
    const text = await textFor(await guarded.as(headers));
    expect(text).toMatch(/"idle":\["\d subscriptions? failed, paused, stopped or scheduled"\]/u);
    expect(text).not.toContain("of-the-shop");
  }
});

test.concurrent("a server token that can be guessed is warned of, at start and by relay status", async () => {
  await using guarded = await start({ auth: { type: "token", value: "fifteen-letters" } });
  const warning = "server.auth.value: the token has 15 characters and can be guessed";
  expect((await guarded.relay.logged(warning)).level).toBe("warn");
  const { body } = await (await guarded.overSocket())("GET", "/api/status");
  expect(JSON.stringify(body.config.warnings)).toContain(warning);
});

test.concurrent("a session stands for the credentials until it is signed out, and for no page but the own", async () => {
  await using guarded = await start({ auth: { type: "token", value: SECRET } });
  const nobody = await guarded.as({});
  expect((await nobody("POST", "/api/session", { body: { token: "wrong" } })).status).toBe(401);
  const signedIn = await nobody("POST", "/api/session", { body: { token: SECRET } });
  expect(signedIn.body).toMatchObject({ auth: "token", signedIn: true, identity: { kind: "operator" } });
  const given = signedIn.headers.get("set-cookie") ?? "";
  for (const attribute of ["HttpOnly", "SameSite=Strict", "Path=/"]) expect(given).toContain(attribute);
  const cookie = given.split(";")[0] ?? "";
  const page = await guarded.as({ cookie });
  expect(await statusOf(page)).toBe(200);
  const write = (origin: string) =>
    page("POST", "/api/subscriptions/sub/pause", { headers: { origin } }).then(({ status }) => status);
  expect(await write(guarded.url)).toBe(200);
  expect(await write("http://localhost:1")).toBe(403);
  expect((await page("DELETE", "/api/session")).status).toBe(204);
  expect(await statusOf(page)).toBe(401);
});

test.concurrent("server.auth jwt opens what the scopes of a token say", async () => {
  await using authority = await startAuthority(RSA);
  await using guarded = await start({ auth: toSettings(authority) });
  const withScope = async (scope: string) => guarded.as(bearer(await signToken(RSA, { scope })));
  const pause = async (api: Api, place: string) =>
    (await api("POST", `${place}/subscriptions/of-the-shop/pause`)).status;
  for (const [scope, ...expected] of [
    ["", 403, 403, 403, 403, 403],
    ["relay:read", 200, 200, 200, 403, 403],
    ["relay:write", 403, 403, 403, 200, 200],
    ["relay:read relay:write", 200, 200, 200, 200, 200],
    ["relay:subscribe", 403, 403, 200, 403, 403],
  ] as const) {
    const api = await withScope(scope);
    expect([
      scope,
      await statusOf(api, "/metrics"),
      await statusOf(api),
      await statusOf(api, "/webhook/subscriptions"),
      await pause(api, "/api"),
      await pause(api, "/webhook"),
    ]).toEqual([scope, ...expected]);
  }
});

test.concurrent("with relay:subscribe an application has its own subscriptions, and there are no others", async () => {
  await using authority = await startAuthority(RSA);
  await using guarded = await start({ auth: toSettings(authority) });
  const asOf = async (sub: string | undefined) =>
    guarded.as(bearer(await signToken(RSA, { sub, scope: "relay:subscribe" })));
  const [shop, bank, operator] = [await asOf("shop"), await asOf("bank"), await guarded.overSocket()];
  expect((await (await asOf(undefined))("GET", "/webhook/subscriptions")).status).toBe(403);
  const list = async (api: Api) => (await api("GET", "/webhook/subscriptions")).body.items;
  expect(await list(shop)).toMatchObject([{ id: "of-the-shop" }]);
  expect(await list(bank)).toEqual([]);
  const body = (more: object) => ({
    id: "made",
    configuration: { entrypointId: "webhook", channel: "orders.made" },
    ...more,
  });
  const stolen = await bank("POST", "/webhook/subscriptions", { body: body({ application: "shop" }) });
  expect([stolen.status, stolen.body.errors]).toEqual([
    422,
    [{ path: "application", message: "allowed: bank" }],
  ]);
  const made = await bank("POST", "/webhook/subscriptions", { body: body({}) });
  expect([made.status, made.body.application]).toEqual([201, "bank"]);
  expect((await list(operator)).map(({ id }: { id: string }) => id)).toEqual(["made", "of-the-shop", "sub"]);
  const path = "/webhook/subscriptions/made";
  const given = await bank("PUT", path, { body: body({ application: "shop" }) });
  expect([given.status, given.body.errors?.[0]?.path]).toEqual([422, "application"]);
  for (const [method, command, sent] of [
    ["GET", ""],
    ["PUT", "", body({ application: "shop" })],
    ["DELETE", ""],
    ["POST", "/pause"],
    ["POST", "/resume"],
    ["POST", "/stop"],
    ["POST", "/start"],
    ["POST", "/seek", { to: "all" }],
    ["POST", "/test"],
  ] as const) {
    const answer = await shop(method, `${path}${command}`, { body: sent });
    expect([method, command, answer.status]).toEqual([method, command, 404]);
  }
  expect((await bank("PUT", path, { body: body({}) })).body.application).toBe("bank");
  expect((await bank("DELETE", path)).status).toBe(204);
});

test.concurrent("tokens that are forged, old or for others are refused, by an authority's key and by one in a file", async () => {
  await using authority = await startAuthority(RSA);
  await using home = await temporaryDirectory();
  const keyFile = join(home.path, "key.pem");
  const pem = await exportSPKI(RSA.publicKey);
  await writeFile(keyFile, pem);
  const { issuer, audience } = toSettings(authority);
  const past = Math.floor(Date.now() / 1000) - 60;
  const stranger = await createKey("RS256");
  const [, payload = ""] = (await signToken(RSA)).split(".");
  const none = Buffer.from('{"alg":"none"}').toString("base64url");
  const refused = [
    await signToken({ alg: "HS256", kid: "first", privateKey: new TextEncoder().encode(pem) }),
    `${none}.${payload}.`,
    await signToken(stranger),
    await signToken(RSA, { iss: "https://evil.example.com" }),
    await signToken(RSA, { aud: "other" }),
    await signToken(RSA, { exp: past }),
    await signToken(RSA, { exp: undefined }),
    "a-token-that-is-none",
  ];
  for (const auth of [toSettings(authority), { type: "jwt", keyFile, issuer, audience }]) {
    await using guarded = await start({ auth });
    expect(await statusOf(await guarded.as(bearer(await signToken(RSA))))).toBe(200);
    for (const token of refused) {
      const answer = await (await guarded.as(bearer(token)))("GET", "/api/status");
      expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([
        401,
        'Bearer realm="relay", error="invalid_token"',
      ]);
      expect(JSON.stringify([answer.body, ...guarded.relay.logs])).not.toContain(token.slice(-40));
    }
  }
});

test.concurrent("keys are fetched when they are needed, again when they change, and the old ones serve while none can be had", async () => {
  const next = await createKey("ES256", "next");
  await using authority = await startAuthority(RSA);
  await using guarded = await start({ auth: toSettings(authority) });
  const fetches = () => authority.server.requests.length;
  const statusWith = async (key: SigningKey) => statusOf(await guarded.as(bearer(await signToken(key))));
  expect(fetches()).toBe(0);
  expect(await statusWith(RSA)).toBe(200);
  for (let time = 0; time < 20; time += 1)
    expect(await statusWith({ ...next, kid: `key-${time}` })).toBe(401);
  // One each 10 s at most.
  expect(fetches()).toBeLessThan(10);
  authority.publish(RSA, next);
  await eventually(async () => (await statusWith(next)) === 200, { withinMs: 40_000 });
  await authority.server[Symbol.asyncDispose]();
  for (const key of [RSA, next]) expect(await statusWith(key)).toBe(200);
}, 120_000);

test.concurrent("server.tls serves the certificate of its files, and a new one from a reload on", async () => {
  await using old = await openCertificates();
  await using renewed = await openCertificates();
  const { certFile, keyFile } = old.server;
  await using guarded = await start({ tls: { certFile, keyFile }, auth: { type: "token", value: SECRET } });
  expect(guarded.url).toStartWith("https://127.0.0.1:");
  const seenBy = async (ca: string) => statusOf(await openApi(guarded.url, { ca, headers: bearer(SECRET) }));
  expect(await seenBy(old.ca)).toBe(200);
  const local = await guarded.overSocket();
  await copyFile(renewed.server.certFile, certFile);
  const mismatch = await local("POST", "/api/reload");
  expect([mismatch.status, mismatch.body.detail]).toEqual([422, expect.stringContaining("certFile")]);
  expect(await seenBy(old.ca)).toBe(200);
  await copyFile(renewed.server.keyFile, keyFile);
  const { body } = await local("POST", "/api/reload");
  expect(body.changes).toEqual(["Certificate of the listener renewed"]);
  expect(await seenBy(renewed.ca)).toBe(200);
  expect((await local("POST", "/api/reload")).body.changes).toEqual([]);
  const secure = await openApi(guarded.url, { ca: renewed.ca });
  const { headers } = await secure("POST", "/api/session", { body: { token: SECRET } });
  expect(headers.get("set-cookie")).toMatch(/^__Host-relay-session-\d+=.*; Secure/u);
});

function toSettings({ settings, server }: Awaited<ReturnType<typeof startAuthority>>) {
  const { issuer, audience } = settings;
  return { type: "jwt", jwksUri: new URL("/keys", server.url).href, issuer, audience };
}

async function openCertificates() {
  const directory = await temporaryDirectory();
  return {
    ...(await createCertificates(directory.path)),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

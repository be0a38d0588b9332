// Subscriptions made by API: kept in the bucket of the cluster, run by every relay, gone with all they had when deleted.

import { jetstream, jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Api, openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { headerOf, type Receiver, startReceiver } from "../support/receiver.ts";
import { type RelayProcess, startRelay, temporaryDirectory } from "../support/relay.ts";

const KEY = Buffer.alloc(32, 1).toString("base64");
const OTHER_KEY = Buffer.alloc(32, 2).toString("base64");
const SECRET = "secret-of-the-callback";
const LOOPBACK_ALLOWED = { callbacks: { allow: ["127.0.0.0/8"] } };

let stack: AsyncDisposableStack;
let nats: NatsServer;
let client: NatsConnection;
let manager: JetStreamManager;
let receiver: Receiver;
let buckets = 0;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
  client = await nats.connect();
  manager = await jetstreamManager(client);
  await addStream(client, { name: "ORDERS", subjects: ["orders.>"] });
  receiver = stack.use(await startReceiver());
});
afterAll(() => stack.disposeAsync());

interface RelayOptions {
  readonly bucket: string;
  readonly key?: string;
  readonly more?: object;
  readonly directory?: string;
  readonly natsUrl?: string;
}

interface Started extends AsyncDisposable {
  readonly relay: RelayProcess;
  readonly api: Api;
}

async function start({
  bucket,
  key,
  more = LOOPBACK_ALLOWED,
  directory,
  natsUrl = nats.url,
}: RelayOptions): Promise<Started> {
  const base = testConfig({
    natsUrl,
    callbackUrl: receiver.url.href,
    consumer: { subjects: ["orders.>"] },
    subscription: { channel: "orders.file" },
    more: { ...more, state: { bucket, ...(key === undefined ? {} : { key }) } },
  });
  const partner = { type: "webhook", id: "secret-partner", endpoint: "orders" };
  const config = { ...base, entrypoints: [...(base["entrypoints"] as object[]), partner] };
  const relay = await startRelay({ config, ...(directory === undefined ? {} : { directory }) });
  const api = await openApi(await relay.url(), { contextPaths: ["/webhook", "/secret-partner"] });
  await eventually(async () => (await api("GET", "/readyz")).status === 200);
  return { relay, api, [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose]() };
}

/** A bucket that no other test has. */
function newBucket(): string {
  buckets += 1;
  return `bucket-${buckets}`;
}

function body(id: string, configuration: object = {}): object {
  const callbackUrl = `${receiver.url.origin}/${id}`;
  return {
    id,
    configuration: { entrypointId: "webhook", channel: `orders.${id}`, callbackUrl, ...configuration },
  };
}

const sentTo = (id: string) => receiver.requests.filter(({ path }) => path === `/${id}`);
const publish = (id: string, text: string) => jetstream(client).publish(`orders.${id}`, text);
const stateOf = async (api: Api, id: string) => (await api("GET", `/api/subscriptions/${id}`)).body?.state;
const isConsuming = (api: Api, id: string) =>
  eventually(async () => (await stateOf(api, id)) === "running", { what: `${id} consuming` });
const errorsOf = ({ body: problem }: { body: { errors?: readonly { path: string; message: string }[] } }) =>
  problem.errors ?? [];

async function hasConsumer(id: string): Promise<boolean> {
  const names: string[] = [];
  for await (const { name } of manager.consumers.list("ORDERS")) names.push(name);
  return names.includes(`relay-${id}`);
}

/** All that the stream of the bucket stores, as text. */
async function dump(bucket: string): Promise<string> {
  const { state } = await manager.streams.info(`KV_${bucket}`);
  let text = "";
  for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
    const message = await manager.streams.getMessage(`KV_${bucket}`, { seq }).catch(() => null);
    text += message === null ? "" : `${message.subject} ${message.string()}\n`;
  }
  return text;
}

test("one that is made gets what is published from then on, also after a restart, and from where it was", async () => {
  await using home = await temporaryDirectory();
  const options = { bucket: newBucket(), directory: home.path };
  await publish("made", "before");
  {
    await using started = await start(options);
    const { api, relay } = started;
    const created = await api("POST", "/webhook/subscriptions", { body: body("made") });
    expect(created.status).toBe(201);
    expect(created.headers.get("location")).toBe("/webhook/subscriptions/made");
    expect(created.body).toMatchObject({ id: "made", origin: "api", entrypoint: "webhook" });
    const etag = created.headers.get("etag");
    expect(etag).toBe(`"${created.body.revision}"`);
    const shown = await api("GET", "/api/subscriptions/made");
    expect(shown.headers.get("etag")).toBe(etag);
    expect(shown.body.definition.configuration.deliverPolicy).toBe("new");
    await isConsuming(api, "made");
    await publish("made", "first");
    await eventually(() => sentTo("made").length === 1);
    relay.signal("SIGTERM");
    expect(await relay.exited).toBe(0);
  }
  await publish("made", "while away");
  await using started = await start(options);
  await eventually(() => sentTo("made").length === 2);
  expect(sentTo("made").map((request) => request.body.toString())).toEqual(["first", "while away"]);
  expect((await started.api("DELETE", "/api/subscriptions/made")).status).toBe(204);
});

test("two relays run it together, and both let go of it with all that it had when it is deleted", async () => {
  const bucket = newBucket();
  await using first = await start({ bucket });
  await using second = await start({ bucket });
  await first.api("POST", "/api/subscriptions", { body: body("shared") });
  await eventually(async () => (await stateOf(second.api, "shared")) !== undefined);
  await isConsuming(first.api, "shared");
  await isConsuming(second.api, "shared");
  const texts = Array.from({ length: 100 }, (_, index) => `message ${index}`);
  await Promise.all(texts.map((text) => publish("shared", text)));
  await eventually(() => sentTo("shared").length >= 100);
  await second.api("POST", "/api/subscriptions/shared/pause");
  await eventually(
    async () => (await first.api("GET", "/api/subscriptions/shared")).body.status === "PAUSED",
  );
  const received = sentTo("shared").map((request) => request.body.toString());
  expect(received.toSorted()).toEqual(texts.toSorted());
  expect((await second.api("DELETE", "/api/subscriptions/shared")).status).toBe(204);
  await eventually(async () => (await first.api("GET", "/api/subscriptions/shared")).status === 404);
  await eventually(async () => !(await hasConsumer("shared")));
  expect((await second.api("POST", "/api/subscriptions", { body: body("shared") })).body.status).toBe(
    "ACCEPTED",
  );
  await isConsuming(second.api, "shared");
  await publish("shared", "anew");
  await eventually(() => sentTo("shared").length === 101);
  expect(sentTo("shared").at(-1)?.body.toString()).toBe("anew");
});

test("an idle one is gone as soon as its deletion is answered", async () => {
  await using started = await start({ bucket: newBucket() });
  const { api } = started;
  const created = await api("POST", "/api/subscriptions", { body: body("idle") });
  expect(created.status).toBe(201);
  await isConsuming(api, "idle");
  expect((await api("DELETE", "/api/subscriptions/idle")).status).toBe(204);
  expect(await hasConsumer("idle")).toBe(false);
});

test("one more than an application may have is refused, and another application may go on", async () => {
  // Its own: a thousand consumers would be in the way of the other tests.
  await using own = await startNatsServer();
  const ownClient = await own.connect();
  await addStream(ownClient, { name: "ORDERS", subjects: ["orders.>"] });
  const bucket = newBucket();
  await using started = await start({ bucket, natsUrl: own.url });
  const { api } = started;
  const owned = (id: string, application: string) => ({ ...body(id), application, status: "PAUSED" });
  const ids = Array.from({ length: 1000 }, (_, index) => `owned-${index}`);
  const store = (id: string) =>
    jetstream(ownClient).publish(
      `$KV.${bucket}.subscription.${id}`,
      JSON.stringify({ entry: owned(id, "shop") }),
    );
  await Promise.all(ids.map(store));
  await eventually(async () => (await stateOf(api, "owned-999")) !== undefined);
  // Servers since 2.15 take no more; a relay that still creates them has no time for others.
  const { streams } = await jetstreamManager(ownClient);
  await eventually(async () => (await streams.info("ORDERS")).state.consumer_count >= 1000, {
    withinMs: 60_000,
    what: "a thousand consumers",
  });
  const refused = await api("POST", "/api/subscriptions", { body: owned("more", "shop") });
  expect([refused.status, refused.body.detail]).toEqual([
    422,
    "It cannot be kept: application shop has 1000 subscriptions made by API, the maximum",
  ]);
  expect((await api("POST", "/api/subscriptions", { body: owned("more", "desk") })).status).toBe(201);
}, 120_000);

test("a replacement takes effect in both relays, under the revision that was looked at", async () => {
  const bucket = newBucket();
  await using first = await start({ bucket });
  await using second = await start({ bucket });
  const path = "/api/subscriptions/changing";
  const { headers } = await first.api("POST", "/api/subscriptions", { body: body("changing") });
  const etag = headers.get("etag") ?? "";
  await isConsuming(second.api, "changing");
  const next = body("changing", { callbackUrl: `${receiver.url.origin}/elsewhere` });
  const replaced = await second.api("PUT", path, { body: next, headers: { "if-match": `"0", ${etag}` } });
  expect(replaced.status).toBe(200);
  expect(replaced.body.callbackUrl).toEndWith("/elsewhere");
  for (const [method, sent] of [
    ["PUT", next],
    ["DELETE", undefined],
  ] as const) {
    for (const stale of [etag, '"x"', `W/${etag}`]) {
      const { status } = await first.api(method, path, { body: sent, headers: { "if-match": stale } });
      expect([method, stale, status]).toEqual([method, stale, 412]);
    }
  }
  await eventually(async () => (await first.api("GET", path)).body.callbackUrl.endsWith("/elsewhere"));
  await publish("changing", "to the new one");
  await eventually(() => sentTo("elsewhere").length === 1);
  // The same again has a new revision, though nothing else of it is new: the other relay knows it too.
  const again = await second.api("PUT", path, { body: next, headers: { "if-match": "*" } });
  const current = again.headers.get("etag") ?? "";
  expect(current).not.toBe(etag);
  await eventually(async () => (await first.api("GET", path)).headers.get("etag") === current);
  expect((await first.api("DELETE", path, { headers: { "if-match": current } })).status).toBe(204);
  expect((await first.api("PUT", path, { body: next })).status).toBe(404);
  expect((await first.api("DELETE", path)).status).toBe(404);
});

test("an id that is taken is a conflict, also in the eyes of the other relay", async () => {
  const bucket = newBucket();
  await using first = await start({ bucket });
  await using second = await start({ bucket });
  const both = await Promise.all(
    [first, second].map(({ api }) => api("POST", "/api/subscriptions", { body: body("taken") })),
  );
  expect(both.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([201, 409]);
  expect((await first.api("POST", "/api/subscriptions", { body: body("sub") })).status).toBe(409);
  await first.api("DELETE", "/api/subscriptions/taken");
});

test("faults are told with their paths, all at once, and nothing of other entrypoints with them", async () => {
  await using started = await start({ bucket: newBucket() });
  const { api } = started;
  const faulty = { id: "a b", configuration: { entrypointId: "webhok", callbackUr: "x", method: "GET" } };
  const answer = await api("POST", "/api/subscriptions", { body: faulty });
  expect(answer.status).toBe(422);
  expect(
    errorsOf(answer)
      .map(({ path }) => path)
      .toSorted(),
  ).toEqual(["configuration.callbackUr", "configuration.entrypointId", "configuration.method", "id"]);
  for (const [sent, status] of [
    ["{", 400],
    ["[]", 422],
    ["null", 422],
    ['"x"', 422],
    ["{}", 422],
  ] as const) {
    expect((await api("POST", "/api/subscriptions", { body: sent })).status).toBe(status);
  }
  for (const entrypointId of ["secret-partne", "secret-partner", "webhook-advance"]) {
    const bound = await api("POST", "/webhook/subscriptions", {
      body: body("bound", { entrypointId, channel: "outside.of.it" }),
    });
    expect([bound.status, ...errorsOf(bound)]).toEqual([
      422,
      { path: "configuration.entrypointId", message: "allowed: webhook" },
    ]);
  }
  const masked = body("masked", { auth: { type: "token", token: { value: "***" } } });
  expect(errorsOf(await api("POST", "/api/subscriptions", { body: masked }))).toEqual([
    {
      path: "configuration.auth.token.value",
      message: "found the mask of a secret, allowed: the secret itself",
    },
  ]);
});

test("references and paths are refused, wherever they lead", async () => {
  await using started = await start({ bucket: newBucket(), key: KEY });
  const refused = [
    { callbackUrl: { env: "HOME" } },
    { headers: [{ name: "X-A", value: { file: "/etc/hostname" } }] },
    { auth: { type: "token", token: { value: { credential: "name" } } } },
    { ssl: { trustStore: { type: "PEM", path: "/etc/ssl/certs/ca-certificates.crt" } } },
    { ssl: { keyStore: { type: "PEM", keyPath: "/etc/key.pem", certPath: "/etc/cert.pem" } } },
  ];
  for (const configuration of refused) {
    const answer = await started.api("POST", "/api/subscriptions", { body: body("refused", configuration) });
    expect(answer.status).toBe(422);
    expect(errorsOf(answer).map(({ message }) => message)).toContain(
      "a subscription made by API takes inline values only",
    );
  }
});

test("secrets are refused without state.key", async () => {
  await using started = await start({ bucket: newBucket() });
  const answer = await started.api("POST", "/api/subscriptions", {
    body: body("keyless", { auth: { type: "token", token: { value: SECRET } } }),
  });
  expect([answer.status, errorsOf(answer)[0]?.message]).toEqual([
    422,
    "It holds secrets, and there is no state.key to encrypt them",
  ]);
  expect((await started.api("GET", "/api/subscriptions/keyless")).status).toBe(404);
});

test("secrets are sealed in the bucket, opened by relays with the key, and by no other", async () => {
  const bucket = newBucket();
  await using first = await start({ bucket, key: KEY });
  const sealed = body("sealed", {
    auth: { type: "token", token: { value: SECRET } },
    headers: [{ name: "X-Api-Key", value: "another-secret" }],
  });
  expect((await first.api("POST", "/api/subscriptions", { body: sealed })).status).toBe(201);
  const shown = JSON.stringify((await first.api("GET", "/api/subscriptions/sealed")).body);
  const kept = await dump(bucket);
  expect(kept).toContain("subscription.sealed");
  for (const secret of [SECRET, "another-secret", "X-Api-Key", receiver.url.origin]) {
    expect(kept).not.toContain(secret);
  }
  for (const secret of [SECRET, "another-secret"]) expect(shown).not.toContain(secret);

  await using same = await start({ bucket, key: KEY });
  await isConsuming(same.api, "sealed");
  await first.relay[Symbol.asyncDispose]();
  await publish("sealed", "by the other relay");
  await eventually(() => sentTo("sealed").length === 1);
  const [request] = sentTo("sealed");
  expect(request === undefined ? null : headerOf(request, "authorization")).toBe(`Bearer ${SECRET}`);

  for (const key of [OTHER_KEY, undefined]) {
    await using other = await start({ bucket, ...(key === undefined ? {} : { key }) });
    const { relay, api } = other;
    expect(await relay.logged("Subscription cannot run here")).toMatchObject({ subscription: "sealed" });
    expect((await api("GET", "/api/subscriptions/sealed")).status).toBe(404);
    expect((await api("GET", "/api/status")).body.unusable).toMatchObject([
      { id: "sealed", reason: expect.stringContaining("state.key") },
    ]);
    expect((await api("GET", "/api/orphans")).body.items).toEqual([]);
    expect((await api("DELETE", "/webhook/subscriptions/sealed")).status).toBe(404);
    expect((await api("POST", "/api/reload")).status).toBe(200);
    expect(relay.logs.filter(({ message }) => message === "Subscription cannot run here")).toHaveLength(1);
  }
  await using other = await start({ bucket, key: OTHER_KEY });
  await other.relay.logged("Subscription cannot run here");
  expect((await other.api("DELETE", "/api/subscriptions/sealed")).status).toBe(204);
  expect((await other.api("GET", "/api/status")).body.unusable).toEqual([]);
  await eventually(async () => (await same.api("GET", "/api/subscriptions/sealed")).status === 404);
});

test("a name of private addresses is out of reach, unless callbacks.allow opens them, and is not told what they are", async () => {
  await using started = await start({ bucket: newBucket(), more: {} });
  const { api, relay } = started;
  const callbackUrl = `http://localhost:${receiver.port}/inward`;
  await api("POST", "/api/subscriptions", { body: body("inward", { callbackUrl }) });
  await isConsuming(api, "inward");
  const sample = await api("POST", "/api/subscriptions/inward/test");
  expect([sample.body.outcome, sample.body.status]).toEqual(["exception", 0]);
  expect(JSON.stringify(sample.body)).toContain("Not allowed to call localhost");
  expect(JSON.stringify(sample.body)).not.toMatch(/127\.0\.0\.1|::1/u);
  const draft = await api("POST", "/api/subscriptions/test", {
    body: { subscription: body("draft", { callbackUrl }) },
  });
  expect([draft.body.outcome, draft.body.error]).toEqual(["exception", sample.body.error]);
  expect(sentTo("inward")).toEqual([]);
  expect(await relay.logged("Address denied")).toMatchObject({ host: "localhost" });
});

test("an address that will be denied is refused at once, wherever it stands and however it is spelt", async () => {
  await using started = await start({ bucket: newBucket(), more: {} });
  const { api } = started;
  const oauth2 = { endpoint: "http://10.0.0.1/token", clientId: "a", clientSecret: "b" };
  const jwt = {
    issuer: "a",
    subject: "a",
    audience: "http://[fd00::1]/",
    signatureAlgorithm: "HMAC_HS256",
    keySource: "INLINE",
    keyContent: "a key of thirty-two bytes, or more",
  };
  for (const [more, path] of [
    [{ callbackUrl: "http://127.0.0.1/" }, "callbackUrl"],
    [{ callbackUrl: "http://[::1]/" }, "callbackUrl"],
    [{ callbackUrl: "http://0x7f.1/" }, "callbackUrl"],
    [{ callbackUrl: "http://2130706433/" }, "callbackUrl"],
    [{ callbackUrl: "http://[::ffff:0:127.0.0.1]/" }, "callbackUrl"],
    [{ callbackUrl: "http://[2606:4700::5efe:10.0.0.1]/" }, "callbackUrl"],
    [{ callbackUrl: "http://169.254.169.254/" }, "callbackUrl"],
    [{ callbackUrl: "http://example.com/", auth: { type: "oauth2", oauth2 } }, "auth.oauth2.endpoint"],
    [
      { callbackUrl: "http://example.com/", auth: { type: "jwtProfileOauth2", jwtProfileOauth2: jwt } },
      "auth.jwtProfileOauth2.audience",
    ],
  ] as const) {
    const answer = await api("POST", "/api/subscriptions", { body: body("inward", more) });
    expect([answer.status, answer.body.errors]).toEqual([
      422,
      [{ path: `configuration.${path}`, message: expect.stringContaining("callbacks.allow") as string }],
    ]);
    const draft = { subscription: body("inward", more) };
    const tested = await api("POST", "/api/subscriptions/test", { body: draft });
    const [error] = errorsOf(tested);
    expect([tested.status, error?.path]).toEqual([422, `subscription.configuration.${path}`]);
  }
  const fine = body("inward", { callbackUrl: "http://example.com/" });
  expect((await api("POST", "/api/subscriptions", { body: fine })).status).toBe(201);
  const inward = body("inward", { callbackUrl: "http://10.0.0.1/" });
  expect((await api("PUT", "/api/subscriptions/inward", { body: inward })).status).toBe(422);
});

test("a subscription is tested before it is stored: its request is shown, then sent, and nothing is stored", async () => {
  await using started = await start({ bucket: newBucket(), key: KEY });
  const { api } = started;
  const auth = { type: "token", token: { value: SECRET } };
  const test = (subscription: object, more: object = {}, path = "/api/subscriptions/test") =>
    api("POST", path, { body: { subscription, ...more } });
  const sample = { body: '{"order":7}', headers: [{ name: "Trace", value: "7" }] };
  const draft = body("draft", { auth });
  const shown = await test(draft, { ...sample, dryRun: true });
  expect([shown.status, shown.body.result, shown.body.request.body]).toEqual([200, "request", sample.body]);
  expect(JSON.stringify(shown.body)).not.toContain(SECRET);
  expect(sentTo("draft")).toEqual([]);
  const sent = await test(draft, sample);
  expect([sent.status, sent.body.outcome]).toEqual([200, "delivered"]);
  const [request] = sentTo("draft");
  if (request === undefined) throw new Error("Nothing was sent");
  expect(["authorization", "x-relay-test", "trace"].map((name) => headerOf(request, name))).toEqual([
    `Bearer ${SECRET}`,
    "true",
    "7",
  ]);
  expect((await api("GET", "/api/subscriptions/draft")).status).toBe(404);
  expect(await hasConsumer("draft")).toBe(false);

  const { configuration } = body("draft") as { configuration: object };
  expect((await test({ configuration }, {}, "/webhook/subscriptions/test")).body.outcome).toBe("delivered");
  const foreign = { configuration: { ...configuration, entrypointId: "secret-partner" } };
  const pathsOf = async (subscription: object) => errorsOf(await test(subscription)).map(({ path }) => path);
  expect(errorsOf(await test(foreign, {}, "/webhook/subscriptions/test"))).toEqual([
    { path: "subscription.configuration.entrypointId", message: "allowed: webhook" },
  ]);
  const masked = body("draft", { auth: { type: "token", token: { value: "***" } } });
  expect(await pathsOf(masked)).toEqual(["subscription.configuration.auth.token.value"]);
  expect(await pathsOf({ configuration: { entrypointId: "webhook" } })).toEqual([
    "subscription.configuration.callbackUrl",
  ]);
  expect(errorsOf(await api("POST", "/api/subscriptions/test", { body: {} }))).toEqual([
    { path: "subscription", message: "missing" },
  ]);
  expect((await test(draft, { body: "x".repeat(65_537) })).status).toBe(413);
  expect(sentTo("draft")).toHaveLength(2);
});

test("a relay without NATS makes none, and says why", async () => {
  await using lonely = await startNatsServer();
  await addStream(await lonely.connect(), { name: "ORDERS", subjects: ["orders.>"] });
  const config = {
    ...testConfig({ natsUrl: lonely.url, callbackUrl: receiver.url.href }),
    ...LOOPBACK_ALLOWED,
  };
  await using relay = await startRelay({ config });
  const api = await openApi(await relay.url());
  await eventually(async () => (await api("GET", "/readyz")).status === 200);
  await lonely.kill();
  await eventually(async () => (await api("GET", "/readyz")).status === 503);
  const answer = await api("POST", "/api/subscriptions", { body: body("lonely") });
  expect([answer.status, answer.body.detail]).toEqual([503, expect.stringContaining("NATS")]);
  expect((await api("GET", "/api/subscriptions/lonely")).status).toBe(404);
});

// The HTTP API of a running relay: what is read and commanded, by network and control socket, below /api and context paths.

import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Api, openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { headerOf, type Receiver, startReceiver } from "../support/receiver.ts";
import { type RelayProcess, startRelay, temporaryDirectory } from "../support/relay.ts";

const TOKEN = "token-of-the-callback";
const KEY = `whsec_${Buffer.from("a-key-of-32-bytes-for-signatures").toString("base64")}`;
const PLACES = ["/api", "/webhook"] as const;

let stack: AsyncDisposableStack;
let js: JetStreamClient;
let manager: JetStreamManager;
let receiver: Receiver;
let relay: RelayProcess;
let directory: string;
let url: string;
let api: Api;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const client = await nats.connect();
  js = jetstream(client);
  manager = await jetstreamManager(client);
  await addStream(client, { name: "ORDERS", subjects: ["orders.>"] });
  await manager.consumers.add("ORDERS", { durable_name: "relay-gone", ack_policy: "explicit" });
  await manager.consumers.add("ORDERS", { durable_name: "somebody", ack_policy: "explicit" });
  receiver = stack.use(await startReceiver());
  directory = stack.use(await temporaryDirectory()).path;
  const base = testConfig({
    natsUrl: nats.url,
    callbackUrl: receiver.url.href,
    subscription: {
      channel: "orders.sub",
      auth: { type: "token", token: { value: TOKEN } },
      headers: [{ name: "X-Api-Key", value: "key-of-the-header" }],
      signature: { secrets: [KEY] },
    },
  });
  const partner = { type: "webhook", id: "partner", endpoint: "orders", contextPath: "/hooks/eu" };
  const other = {
    id: "other",
    application: "shop",
    metadata: { team: "billing" },
    configuration: { entrypointId: "partner", channel: "orders.other", callbackUrl: receiver.url.href },
  };
  const config = {
    ...base,
    entrypoints: [...(base["entrypoints"] as object[]), partner],
    subscriptions: [...(base["subscriptions"] as object[]), other],
  };
  relay = stack.use(await startRelay({ config, directory }));
  url = await relay.url();
  api = await openApi(url, { contextPaths: ["/webhook", "/hooks/eu"] });
  await eventually(async () => (await api("GET", "/readyz")).status === 200);
});
afterAll(() => stack.disposeAsync());

const idsOf = ({ body }: { body: { items: readonly { id: string }[] } }) => body.items.map(({ id }) => id);
const delivered = () =>
  receiver.requests.filter((request) => headerOf(request, "x-relay-test") === undefined);

test("lists show what their place reaches, page by page", async () => {
  expect(idsOf(await api("GET", "/api/subscriptions"))).toEqual(["other", "sub"]);
  expect(idsOf(await api("GET", "/webhook/subscriptions"))).toEqual(["sub"]);
  expect(idsOf(await api("GET", "/hooks/eu/subscriptions"))).toEqual(["other"]);
  const first = await api("GET", "/api/subscriptions?limit=1");
  expect([idsOf(first), first.body.next]).toEqual([["other"], "other"]);
  const second = await api("GET", "/api/subscriptions?limit=1&cursor=other");
  expect([idsOf(second), second.body.next]).toEqual([["sub"], null]);
  for (const limit of ["0", "1001", "x", "", "1e1", "0x1", "-1"]) {
    expect((await api("GET", `/api/subscriptions?limit=${limit}`)).status).toBe(400);
  }
  const unknown = await api("GET", "/api/subscriptions?application=shop");
  expect([unknown.status, unknown.body.detail]).toEqual([
    400,
    '"application" is not known, but limit and cursor are',
  ]);
});

test("one is shown with its definition, and without a secret", async () => {
  for (const place of PLACES) {
    const { status, headers, body } = await api("GET", `${place}/subscriptions/sub`);
    expect(status).toBe(200);
    expect(headers.has("etag")).toBe(false);
    expect(body).toMatchObject({
      id: "sub",
      origin: "file",
      revision: null,
      entrypoint: "webhook",
      status: "ACCEPTED",
      consumerStatus: "STARTED",
      state: "running",
      source: { stream: "ORDERS", consumer: "relay-sub", subjects: ["orders.sub"] },
      definition: { id: "sub", configuration: { auth: { type: "token", token: { value: "***" } } } },
    });
    const text = JSON.stringify(body);
    for (const secret of [TOKEN, KEY, "key-of-the-header"]) expect(text).not.toContain(secret);
  }
  expect((await api("GET", "/hooks/eu/subscriptions/other")).body.definition.metadata).toEqual({
    team: "billing",
  });
});

test.each([
  ["GET", ""],
  ["PUT", ""],
  ["DELETE", ""],
  ["POST", "/pause"],
  ["POST", "/resume"],
  ["POST", "/stop"],
  ["POST", "/start"],
  ["POST", "/seek"],
  ["POST", "/test"],
])("%s …/{id}%s does not reach another entrypoint's, nor what is not there", async (method, command) => {
  const body = method === "PUT" || command === "/seek" ? { to: "all" } : undefined;
  for (const path of [
    "/webhook/subscriptions/other",
    "/hooks/eu/subscriptions/sub",
    "/api/subscriptions/none",
  ]) {
    const answer = await api(method, `${path}${command}`, { body });
    expect([path, answer.status]).toEqual([path, 404]);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
  }
});

test("those of the file are read-only", async () => {
  const { definition } = (await api("GET", "/api/subscriptions/other")).body;
  for (const [method, body] of [
    ["PUT", definition],
    ["DELETE", undefined],
  ] as const) {
    const { status, body: problem } = await api(method, "/api/subscriptions/other", { body });
    expect([status, problem.detail]).toEqual([409, "It is defined in the config file: change it there"]);
  }
  const taken = await api("POST", "/api/subscriptions", { body: definition });
  expect([taken.status, taken.body.detail]).toEqual([409, "A subscription with this id exists already"]);
});

test("the control socket is the same API, with nothing asked for", async () => {
  const socket = join(directory, ".relay", "relay.sock");
  const local = await openApi("http://any.name", { socket });
  expect(idsOf(await local("GET", "/api/subscriptions"))).toEqual(["other", "sub"]);
  const foreign = { origin: "https://evil.example.com" };
  const paused = await local("POST", "/api/subscriptions/other/pause", { headers: foreign });
  expect(paused.body).toMatchObject({ status: "PAUSED", state: expect.any(String) });
  expect((await local("POST", "/api/subscriptions/other/resume")).body.status).toBe("ACCEPTED");
});

test("pause, resume, stop and start change the state that is asked for, and hold messages back meanwhile", async () => {
  const command = async (name: string, body?: unknown) =>
    (await api("POST", `/webhook/subscriptions/sub/${name}`, { body })).body;
  const isInState = async (state: string) =>
    (await api("GET", "/api/subscriptions/sub")).body.state === state;
  expect(await command("pause")).toMatchObject({ status: "PAUSED", consumerStatus: "STARTED" });
  await eventually(() => isInState("paused"));
  const before = delivered().length;
  await js.publish("orders.sub", "held back");
  expect(await command("stop")).toMatchObject({ status: "PAUSED", consumerStatus: "STOPPED" });
  expect(await command("resume", {})).toMatchObject({ status: "ACCEPTED", consumerStatus: "STOPPED" });
  expect((await api("GET", "/api/subscriptions/sub")).body.reason).toBe("Stopped by its consumer");
  expect(delivered()).toHaveLength(before);
  expect(await command("start")).toMatchObject({ status: "ACCEPTED", consumerStatus: "STARTED" });
  await eventually(() => delivered().length === before + 1);
  expect(delivered().at(-1)?.body.toString()).toBe("held back");
});

test("resume refuses a body that it does not understand, and resumes nothing then", async () => {
  await api("POST", "/api/subscriptions/sub/pause");
  for (const [body, status] of [
    ["{", 400],
    [{ skip: 1 }, 422],
    [{ skp: true }, 422],
    [[], 422],
  ] as const) {
    expect((await api("POST", "/api/subscriptions/sub/resume", { body })).status).toBe(status);
  }
  expect((await api("GET", "/api/subscriptions/sub")).body.status).toBe("PAUSED");
  expect((await api("POST", "/api/subscriptions/sub/resume", { body: { skip: true } })).status).toBe(200);
});

test("seek goes on where it is told to, and says what it can be told", async () => {
  const { seq } = await js.publish("orders.sub", "again");
  await eventually(() => delivered().at(-1)?.body.toString() === "again");
  const before = delivered().length;
  expect((await api("POST", "/api/subscriptions/sub/seek", { body: { sequence: seq } })).status).toBe(200);
  await eventually(() => delivered().length === before + 1);
  const ids = delivered()
    .slice(-2)
    .map((request) => headerOf(request, "webhook-id"));
  expect(ids[0]).toBe(ids[1]);
  for (const [body, status] of [
    ["{", 400],
    [{}, 422],
    [{ to: "elsewhere" }, 422],
    [{ sequence: 0 }, 422],
    [{ time: "yesterday" }, 422],
    [{ time: "2026-02-31T25:00:00Z" }, 422],
  ] as const) {
    expect((await api("POST", "/api/subscriptions/sub/seek", { body })).status).toBe(status);
  }
});

test("seek past the end of the stream is refused, and moves nothing", async () => {
  const { created } = await manager.consumers.info("ORDERS", "relay-sub");
  const { last_seq: last } = (await manager.streams.info("ORDERS")).state;
  for (const [path, value] of [
    ["sequence", last + 2],
    ["time", new Date(Date.now() + 60_000).toISOString()],
  ] as const) {
    const body = { [path]: value };
    const { status, body: problem } = await api("POST", "/api/subscriptions/sub/seek", { body });
    const message = expect.stringContaining(`the stream ends at ${last}`);
    expect([status, problem.errors]).toEqual([422, [{ path, message }]]);
  }
  expect((await manager.consumers.info("ORDERS", "relay-sub")).created).toBe(created);
  const next = { sequence: last + 1 };
  expect((await api("POST", "/api/subscriptions/sub/seek", { body: next })).status).toBe(200);
  expect((await manager.consumers.info("ORDERS", "relay-sub")).created).not.toBe(created);
});

test("test sends a marked sample with all that is configured, past the stream, paused or not", async () => {
  await api("POST", "/api/subscriptions/sub/pause");
  const consumer = await manager.consumers.info("ORDERS", "relay-sub");
  const { state } = await manager.streams.info("ORDERS");
  receiver.respond(() => ({ status: 418, headers: { "x-echo": TOKEN }, body: `Hello ${TOKEN}` }));
  const { status, body } = await api("POST", "/webhook/subscriptions/sub/test", { body: { order: 7 } });
  receiver.respond(() => 200);
  expect(status).toBe(200);
  const sample = receiver.requests.at(-1);
  if (sample === undefined) throw new Error("Nothing came");
  expect(sample.body.toString()).toBe('{"order":7}');
  expect(headerOf(sample, "x-relay-test")).toBe("true");
  expect(headerOf(sample, "authorization")).toBe(`Bearer ${TOKEN}`);
  expect(headerOf(sample, "x-api-key")).toBe("key-of-the-header");
  expect(headerOf(sample, "webhook-signature")).toStartWith("v1,");
  expect(body).toMatchObject({
    outcome: "rejected",
    status: 418,
    error: null,
    request: { method: "POST" },
    response: { body: "Hello ***", truncated: false },
  });
  expect(body.request.headers).toContainEqual(["Authorization", "Bearer ***"]);
  for (const secret of [TOKEN, KEY, "key-of-the-header"]) expect(JSON.stringify(body)).not.toContain(secret);
  const after = await manager.consumers.info("ORDERS", "relay-sub");
  expect([after.delivered, after.ack_floor]).toEqual([consumer.delivered, consumer.ack_floor]);
  expect((await manager.streams.info("ORDERS")).state.last_seq).toBe(state.last_seq);
  await api("POST", "/api/subscriptions/sub/resume");
});

test("test makes a sample up, refuses one that is too large, and tells why nothing was answered", async () => {
  expect((await api("POST", "/api/subscriptions/other/test")).body.outcome).toBe("delivered");
  expect(JSON.parse(String(receiver.requests.at(-1)?.body))).toMatchObject({ test: true });
  const large = await api("POST", "/api/subscriptions/other/test", { body: "x".repeat(65_537) });
  expect(large.status).toBe(413);
  receiver.respond((_request, _index, response) => {
    response.destroy();
    return null;
  });
  const broken = await api("POST", "/api/subscriptions/other/test");
  receiver.respond(() => 200);
  expect(broken.body).toMatchObject({ outcome: "exception", status: 0, response: null });
});

test("other pages, other names, other types and too much are refused", async () => {
  const pause = "/api/subscriptions/other/pause";
  const cases = [
    [403, "POST", { headers: { origin: "https://evil.example.com" } }],
    [403, "POST", { headers: { origin: "null" } }],
    [403, "POST", { headers: { "sec-fetch-site": "cross-site" } }],
    [421, "POST", { headers: { host: "evil.example.com" } }],
    [421, "GET", { headers: { host: "evil.example.com" } }],
    [415, "POST", { body: "a=b", headers: { "content-type": "application/x-www-form-urlencoded" } }],
    [415, "POST", { body: "{}", headers: { "content-type": "text/plain" } }],
    [413, "POST", { body: " ".repeat(1_048_577) }],
  ] as const;
  for (const [status, method, options] of cases) {
    expect((await api(method, pause, options)).status).toBe(status);
  }
  expect((await api("GET", "/api/subscriptions/other")).body.status).toBe("ACCEPTED");
  expect((await api("POST", pause, { headers: { origin: url } })).status).toBe(200);
  await api("POST", "/api/subscriptions/other/resume");
});

test("status, config, metrics and orphans are as the document says, and hold no secret", async () => {
  const status = await eventually(async () => {
    const shown = await api("GET", "/api/status");
    return shown.body.subscriptions.running === 2 && shown;
  });
  expect(status.body).toMatchObject({
    version: expect.stringMatching(/^\d+\.\d+\.\d+/u),
    config: { path: join(directory, "relay.config.json"), refused: null },
    nats: { connected: true, bucket: null },
    readiness: { isReady: true, reasons: [] },
    unusable: [],
  });
  const config = await api("GET", "/api/config");
  expect(config.body.subscriptions[0].configuration.auth.token.value).toBe("***");
  expect((await api("GET", "/metrics")).body).toContain("relay_");
  for (const { body } of [status, config]) {
    for (const secret of [TOKEN, KEY, "key-of-the-header"])
      expect(JSON.stringify(body)).not.toContain(secret);
  }
  const { items } = await eventually(async () => {
    const { body } = await api("GET", "/api/orphans");
    return body.items.length > 0 && body;
  });
  expect(items).toMatchObject([
    { consumer: "relay-gone", subscription: "gone", stream: "ORDERS", domain: null },
  ]);
  expect((await api("GET", "/api/orphans?limit=0")).status).toBe(400);
});

test("what is not there is a problem, as all that goes wrong", async () => {
  for (const path of ["/api", "/api/nothing", "/webhook/config", "/hooks", "/favicon.ico"]) {
    const { status, body } = await api("GET", path);
    expect([path, status, body.title]).toEqual([path, 404, "Not Found"]);
  }
});

test("reload tells what changed, or why nothing did", async () => {
  const { loadedAt } = (await api("GET", "/api/status")).body.config;
  expect((await api("POST", "/api/reload")).body).toEqual({ changes: [], warnings: [], loadedAt });
  const path = join(directory, "relay.config.json");
  const good = await readFile(path, "utf8");
  await writeFile(path, good.replace('"entrypoints"', '"entrypoint"'));
  const refused = await api("POST", "/api/reload");
  expect([refused.status, refused.body.detail]).toEqual([422, expect.stringContaining("entrypoints")]);
  expect((await api("GET", "/api/status")).body.config.refused).toContain("entrypoints");
  await writeFile(path, good);
  expect((await api("POST", "/api/reload")).status).toBe(200);
});

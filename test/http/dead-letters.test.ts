// The routes of dead letters over a real stream: pages, counts, one letter in each form, and a purge that takes no more than was counted.

import { expect, test } from "bun:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import { Hono } from "hono";
import type { ServerEnv } from "#http/caller.ts";
import { createDeadLetterRoutes } from "#http/dead-letters.ts";
import { createCursorSeal } from "#http/limit.ts";
import { openLetters } from "#letters/letters.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream, connected, openTestConnection, type TestConnection } from "../support/nats.ts";
import { TRUSTING_SIGNER } from "../support/letter-signers.ts";

const ENDPOINT = { name: "letters", domain: null, stream: "DLQ", subject: "dlq", create: null };

function routesOf(connection: TestConnection) {
  const letters = openLetters(connection, () => [ENDPOINT], TRUSTING_SIGNER);
  const routes = createDeadLetterRoutes({
    letters: () => letters,
    findSubscription: () => null,
    cursors: createCursorSeal(),
    entrypoint: null,
  });
  const server = new Hono<ServerEnv>();
  server.use(async (context, next) => {
    context.set("access", { kind: "all" });
    await next();
  });
  server.route("/", routes);
  const env = { caller: { kind: "socket" } };
  return async (path: string, init: { method?: string; body?: unknown } = {}) => {
    const { method = "GET", body } = init;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const response = await server.request(
      path,
      { method, ...(body === undefined ? {} : { body: text }) },
      env,
    );
    const isJson = (response.headers.get("content-type") ?? "").includes("json");
    // oxlint-disable-next-line typescript/no-explicit-any -- tests say themselves what they expect.
    const content: any = isJson ? await response.json() : new Uint8Array(await response.arrayBuffer());
    return { status: response.status, headers: response.headers, body: content };
  };
}

async function setUp() {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer());
  const client = await server.connect();
  await addStream(client, { name: "DLQ", subjects: ["dlq.>"], max_msgs_per_subject: 1 });
  const connection = stack.use(await connected(server.url));
  const manager = await jetstreamManager(client);
  const owned = stack.move();
  return {
    call: routesOf(connection),
    /** Of subscription `sub`, message `n`. */
    async put(
      n: number,
      { reason = "rejected", body = "body" }: { reason?: string; body?: string | Uint8Array } = {},
    ) {
      const own = headers();
      own.append("X-Key", "1");
      own.append("Authorization", "Basic dXNlcjpvdGhlcg==");
      own.append("Relay-Reason", reason);
      own.append("Relay-Error", "Callback answered 422");
      await jetstream(client).publish(`dlq.sub.ORDERS.${n}-abc`, body, { headers: own });
    },
    async foreign() {
      await jetstream(client).publish("dlq.other", "x");
    },
    count: async () => (await manager.streams.info("DLQ")).state.messages,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test("GET / gives pages, newest first, and refuses what it does not know", async () => {
  await using setup = await setUp();
  for (const n of [1, 2, 3]) await setup.put(n, { reason: n === 2 ? "exception" : "rejected" });
  const first = await setup.call("/?limit=2");
  expect(first.body.items.map(({ sequence }: { sequence: number }) => sequence)).toEqual([3, 2]);
  const second = await setup.call(`/?limit=2&cursor=${first.body.next}`);
  expect(second.body).toMatchObject({ items: [{ sequence: 1 }], next: null, faults: [] });
  const filtered = await setup.call("/?reason=exception");
  expect(filtered.body.items).toMatchObject([
    { sequence: 2, error: "Callback answered 422", isForeign: false },
  ]);
  const sequencesOf = async (query: string) =>
    (await setup.call(`/?${query}`)).body.items.map(({ sequence }: { sequence: number }) => sequence);
  expect(await sequencesOf("reason=exception&reason=rejected&subscription=sub&subscription=b")).toEqual([
    3, 2, 1,
  ]);
  expect(await sequencesOf("status=404&status=5xx")).toEqual([]);
  for (const query of [
    "limit=0",
    "limit=1&limit=2",
    "limit=1001",
    "reason=x",
    "status=4",
    "from=today",
    "from=2026-02-31T00:00:00Z",
    "unknown=1",
    "cursor=%20",
  ]) {
    expect([query, (await setup.call(`/?${query}`)).status]).toEqual([query, 400]);
  }
  expect((await setup.call("/?cursor=abc")).body.detail).toBe("cursor takes the next of the page before");
});

test("GET /counts counts letters and what is foreign", async () => {
  await using setup = await setUp();
  await setup.put(1);
  await setup.put(2, { reason: "exception" });
  await setup.foreign();
  const { status, body } = await setup.call("/counts");
  expect([status, body]).toMatchObject([
    200,
    {
      letters: 2,
      foreign: 1,
      byReason: { rejected: 1, exception: 1 },
      bySubscription: { sub: 2 },
      isComplete: true,
    },
  ]);
});

test("GET /:id shows a letter in each form, its credentials masked", async () => {
  await using setup = await setUp();
  await setup.put(1, { body: "a text" });
  await setup.put(2, { body: new Uint8Array([0, 255]) });
  await setup.put(3, { body: "x".repeat(65_537) });
  const id = (n: number) => `sub.ORDERS.${n}-abc`;
  const shown = (await setup.call(`/${id(1)}`)).body;
  expect(shown.payload).toEqual({ encoding: "text", content: "a text", isCut: false });
  expect(shown.headers).toContainEqual(["X-Key", "1"]);
  expect(shown.headers).toContainEqual(["Authorization", "***"]);
  expect((await setup.call(`/${id(2)}?payload=hex`)).body.payload.content).toBe("00ff");
  expect((await setup.call(`/${id(2)}?payload=base64`)).body.payload.content).toBe("AP8=");
  expect((await setup.call(`/${id(3)}`)).body.payload).toMatchObject({ isCut: true });
  expect((await setup.call(`/${id(3)}?payload=base64`)).body.payload.isCut).toBe(false);
  expect((await setup.call(`/${id(1)}?payload=xml`)).status).toBe(400);
  expect((await setup.call(`/${id(4)}`)).status).toBe(404);
  const raw = await setup.call(`/${id(2)}/payload`);
  expect([...raw.body]).toEqual([0, 255]);
  expect(Object.fromEntries(raw.headers)).toMatchObject({
    "content-type": "application/octet-stream",
    "content-disposition": 'attachment; filename="sub.ORDERS.2-abc.bin"',
    "x-content-type-options": "nosniff",
  });
  expect((await setup.call(`/${id(4)}/payload`)).status).toBe(404);
});

test("DELETE / takes what a dry run has counted, and nothing that came after it, nothing foreign", async () => {
  await using setup = await setUp();
  for (const n of [1, 2, 3]) await setup.put(n);
  await setup.foreign();
  const purge = (body: unknown) => setup.call("/", { method: "DELETE", body });
  const reason = ["rejected", "exception"];
  const dry = await purge({ filter: { reason }, dryRun: true });
  expect(dry).toMatchObject({ status: 200, body: { matched: 3, purged: 0, next: null } });
  await setup.put(4);
  const cursor = dry.body.start;
  expect(await purge({ filter: {}, cursor, confirm: 2 })).toMatchObject({
    status: 409,
    body: { detail: "3 letters match, more than were confirmed: nothing is purged" },
  });
  expect(await setup.count()).toBe(5);
  const done = await purge({ filter: {}, cursor, confirm: 3 });
  expect(done).toMatchObject({ status: 200, body: { matched: 3, purged: 3, next: null } });
  expect(await setup.count()).toBe(2);
  const left = (await setup.call("/")).body.items;
  expect(left).toMatchObject([{ sequence: 4 }, { isForeign: true }]);
  const ids = left.map(({ id }: { id: string }) => id);
  expect(await purge({ ids, dryRun: true })).toMatchObject({ body: { matched: 2, purged: 0 } });
  expect(await purge({ ids })).toMatchObject({ body: { matched: 2, purged: 2 } });
  expect(await setup.count()).toBe(0);
});

test.each([
  ["no JSON", "{", 400, undefined],
  ["neither ids nor a filter", {}, 422, ""],
  ["a filter that nothing has counted", { filter: {} }, 422, ""],
  ["a filter with a fault", { filter: { reason: "x" }, dryRun: true }, 422, "filter.reason"],
  ["a list with a fault", { filter: { reason: ["rejected", "x"] }, dryRun: true }, 422, "filter.reason[1]"],
  ["an empty list", { filter: { reason: [] }, dryRun: true }, 422, "filter.reason"],
  ["a cursor that is none", { filter: {}, cursor: "abc", confirm: 1 }, 422, undefined],
  ["no ids", { ids: [] }, 422, "ids"],
])("DELETE / refuses %s", async (_, body, status, path) => {
  await using setup = await setUp();
  await setup.put(1);
  const answer = await setup.call("/", { method: "DELETE", body });
  expect(answer.status).toBe(status);
  if (path !== undefined) expect(answer.body.errors[0].path).toBe(path);
  expect(await setup.count()).toBe(1);
});

test("each route is 503 without NATS, and says why", async () => {
  await using absent = openTestConnection("nats://127.0.0.1:1");
  const call = routesOf(absent);
  for (const path of ["/", "/counts", "/sub.ORDERS.1-abc", "/sub.ORDERS.1-abc/payload"]) {
    expect(await call(path)).toMatchObject({
      status: 503,
      body: { detail: "letters: not connected to NATS" },
    });
  }
  const purge = await call("/", { method: "DELETE", body: { ids: ["sub.ORDERS.1-abc"] } });
  expect(purge.status).toBe(503);
});

// Two tenants of one relay: whatever one of them has under way, the other one's calls are answered.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { exportSPKI } from "jose";
import { createKey, signToken } from "../http/authority.ts";
import { bearer } from "../http/gated.ts";
import { type Api, openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { startRelay, temporaryDirectory } from "../support/relay.ts";

const KEY = await createKey("RS256");

const headersOf = async (sub: string, scope: string) =>
  bearer(await signToken(KEY, { sub, scope, exp: Math.floor(Date.now() / 1000) + 600 }));

async function setUp() {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  await addStream(await nats.connect(), { name: "ORDERS", subjects: ["orders.>"] });
  const directory = stack.use(await temporaryDirectory());
  const hanging = stack.use(await startReceiver(() => new Promise(() => {})));
  const quick = stack.use(await startReceiver());
  const keyFile = join(directory.path, "key.pem");
  await writeFile(keyFile, await exportSPKI(KEY.publicKey));
  const auth = { type: "jwt", keyFile, issuer: "https://authority.example.com", audience: "relay" };
  const config = testConfig({
    natsUrl: nats.url,
    callbackUrl: quick.url.href,
    entrypoint: { http: { readTimeout: 60_000 } },
    more: {
      server: { listen: "127.0.0.1:0", auth },
      callbacks: { allow: ["127.0.0.1"] },
    },
  });
  const relay = stack.use(await startRelay({ config, directory: directory.path }));
  const url = await relay.url();
  // Before NATS is connected, nothing can be stored.
  await eventually(async () => (await fetch(new URL("/readyz", url))).status === 200);
  const owned = stack.move();
  return {
    hanging,
    quick,
    url,
    nats,
    headersOf,
    as: async (sub: string, scope = "relay:subscribe"): Promise<Api> =>
      openApi(url, { headers: await headersOf(sub, scope) }),
    reload: async () => {
      const file = join(directory.path, "relay.config.json");
      await writeFile(file, JSON.stringify({ ...config, logs: { level: "info" } }));
      const local = await openApi("http://localhost", {
        socket: join(directory.path, ".relay", "relay.sock"),
      });
      return (await local("POST", "/api/reload")).body.changes as readonly string[];
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const entry = (id: string, callbackUrl: string, more: object = {}) => ({
  body: { id, configuration: { entrypointId: "webhook", channel: `orders.${id}`, callbackUrl }, ...more },
});

test("tests that hang cost their own tenant's, before and after a reload, and nobody else's", async () => {
  await using setup = await setUp();
  const [shop, desk] = [await setup.as("shop"), await setup.as("desk")];
  await shop("POST", "/webhook/subscriptions", entry("hanging", setup.hanging.url.href));
  await desk("POST", "/webhook/subscriptions", entry("quick", setup.quick.url.href));
  const check = (api: Api, id: string) => api("POST", `/webhook/subscriptions/${id}/test`);
  await eventually(async () => (await check(desk, "quick")).status === 200);
  for (let index = 0; index < 10; index += 1) void check(shop, "hanging").catch(() => {}); // The relay is killed.
  // One more before all of these are under way would hang too.
  await eventually(() => setup.hanging.requests.length === 10);
  expect((await check(shop, "hanging")).status).toBe(429);
  const draft = { body: { subscription: entry("draft", setup.quick.url.href).body } };
  expect((await shop("POST", "/webhook/subscriptions/test", draft)).status).toBe(429);
  expect((await check(desk, "quick")).status).toBe(200);
  expect(await setup.reload()).not.toEqual([]);
  expect((await check(shop, "hanging")).status).toBe(429);
  expect((await check(desk, "quick")).status).toBe(200);
});

test("event streams of one tenant leave some to others, and are free again when they end", async () => {
  await using setup = await setUp();
  const leaving = new AbortController();
  /** The collector would end the stream of a response that nobody holds. */
  const followed: Response[] = [];
  const follow = async (sub: string) => {
    const headers = await setup.headersOf(sub, "relay:read");
    const response = await fetch(`${setup.url}/api/deliveries/stream`, { headers, signal: leaving.signal });
    followed.push(response);
    return response.status;
  };
  const statuses = await Promise.all(Array.from({ length: 40 }, () => follow("shop")));
  expect([200, 429].map((status) => statuses.filter((other) => other === status).length)).toEqual([25, 15]);
  expect(await follow("desk")).toBe(200);
  expect(followed).toHaveLength(41);
  leaving.abort();
  const shop = await setup.as("shop", "relay:read");
  await eventually(async () => (await shop("GET", "/api/deliveries/export")).status === 200);
});

test("POSTs at once make no more subscriptions than one after the other", async () => {
  await using setup = await setUp();
  const shop = await setup.as("shop");
  const make = async (from: number, count: number) => {
    const all = Array.from({ length: count }, (_, index) =>
      shop(
        "POST",
        "/webhook/subscriptions",
        entry(`s${from + index}`, setup.quick.url.href, { startingAt: "2099-01-01T00:00:00Z" }),
      ),
    );
    return (await Promise.all(all)).map(({ status }) => status);
  };
  const client = await setup.nats.connect();
  const store = (id: string) => {
    const { body } = entry(id, setup.quick.url.href, {
      startingAt: "2099-01-01T00:00:00Z",
      application: "shop",
    });
    return jetstream(client).publish(`$KV.relay.subscription.${id}`, JSON.stringify({ entry: body }));
  };
  await Promise.all(Array.from({ length: 980 }, (_, index) => store(`s${index}`)));
  // A relay that still creates their consumers has no time for others.
  const { streams } = await jetstreamManager(client);
  await eventually(async () => (await streams.info("ORDERS")).state.consumer_count > 980, {
    withinMs: 60_000,
    what: "the consumers of all",
  });
  const last = await make(980, 100);
  expect([201, 422].map((status) => last.filter((other) => other === status).length)).toEqual([20, 80]);
}, 120_000);

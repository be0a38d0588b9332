// Below a contextPath a consumer sees its own deliveries, dead letters and replays, and sends them again; of others it hears nothing.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { SUBSCRIPTIONS } from "../config/seed-blocks.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { startRelay } from "../support/relay.ts";
import { OPERATOR, startTenants, tenantOf } from "../support/tenants.ts";

async function setUp() {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const client = await nats.connect();
  await addStream(client, { name: "ORDERS", subjects: ["orders.>"] });
  await addStream(client, { name: "DLQ", subjects: ["dlq.>"] });
  const callback = stack.use(await startReceiver(() => ({ status: 422, body: "no such order" })));
  const tenants = stack.use(await startTenants());
  const base = tenants.config({
    natsUrl: nats.url,
    callbackUrl: callback.url.href,
    entrypoint: { logging: { enabled: true, response: { payload: true } } },
    subscription: { channel: "orders.file" },
  });
  const [orders] = base["endpoints"] as [object];
  const [own] = base["entrypoints"] as [object];
  const letters = { name: "letters", type: "jetstream", producer: { stream: "DLQ", subject: "dlq" } };
  const config = {
    ...base,
    endpoints: [orders, letters],
    entrypoints: [{ ...own, endpoint: "orders", dlq: { endpoint: "letters" } }],
  };
  const relay = stack.use(await startRelay({ config }));
  const url = await relay.url();
  const apis = {
    operator: await tenants.as(url, OPERATOR),
    shop: await tenants.as(url, tenantOf("shop")),
    bank: await tenants.as(url, tenantOf("bank")),
  };
  await eventually(async () => (await apis.operator("GET", "/readyz")).status === 200);
  const owned = stack.move();
  const publish = (subject: string, body: string) => jetstream(client).publish(subject, body);
  return { ...apis, callback, client, publish, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

test("a consumer has its own lists, and sends again; others are nobody", async () => {
  await using own = await setUp();
  const { shop, bank, operator, callback, publish } = own;
  for (const [api, id] of [
    [shop, "of-shop"],
    [bank, "of-bank"],
  ] as const) {
    // As the seeds write it, beside the channel: no id is needed, but here one is.
    const body = { id, configuration: { channel: `orders.${id}`, callbackUrl: callback.url.href } };
    expect((await api("POST", "/webhook/subscriptions", { body })).status).toBe(201);
    await publish(`orders.${id}`, `message ${id}`);
  }
  const items = async (api: typeof shop, path: string) =>
    (await api("GET", path)).body.items as Record<string, unknown>[];
  await eventually(async () => (await items(operator, "/api/dead-letters")).length === 2);
  await eventually(async () => (await items(operator, "/api/deliveries")).length === 2);

  const [delivery] = await items(shop, "/webhook/deliveries");
  expect(await items(shop, "/webhook/deliveries")).toMatchObject([
    { subscription: "of-shop", subject: "orders.of-shop", error: "Callback answered 422: no such order" },
  ]);
  expect((await shop("GET", `/webhook/deliveries/${String(delivery?.["id"])}`)).body).toMatchObject({
    response: { body: "no such order" },
  });
  const [letter] = await items(shop, "/webhook/dead-letters?limit=1");
  expect(letter).toMatchObject({ subscription: "of-shop", id: delivery?.["deadLetterId"] });
  const letterPath = `/dead-letters/${String(letter?.["id"])}`;
  expect((await shop("GET", `/webhook${letterPath}`)).body.payload.content).toBe("message of-shop");

  // To the other one, and for what is not below a context path, it is as if there was nothing.
  const replay = (await shop("POST", "/webhook/replays", { body: { filter: {}, dryRun: true } })).body;
  const others = [
    `/webhook/deliveries/${String(delivery?.["id"])}`,
    `/webhook${letterPath}`,
    `/webhook${letterPath}/payload`,
    `/webhook/replays/${String(replay.id)}`,
  ];
  for (const path of others) expect((await bank("GET", path)).status).toBe(404);
  for (const path of ["/api/deliveries", "/api/dead-letters", "/api/replays"])
    expect((await shop("GET", path)).status).toBe(403);
  expect((await bank("POST", `/webhook/replays/${String(replay.id)}/stop`)).status).toBe(404);
  const message = { webhookId: delivery?.["webhookId"] };
  expect((await bank("POST", "/webhook/subscriptions/of-shop/resend", { body: message })).status).toBe(404);
  const seen = ["subscription=of-shop", "application=shop"];
  for (const query of seen) {
    const answer = await bank("GET", `/webhook/deliveries?${query}`);
    expect(answer.status).toBe(400);
    const nobody = await bank("GET", `/webhook/deliveries?${query.replace(/=.*/u, "=nobody")}`);
    expect(answer.body.errors[0].message.replace(/of-shop|shop/u, "nobody")).toBe(
      nobody.body.errors[0].message,
    );
  }
  expect(await items(bank, `/webhook/deliveries?webhookId=${String(delivery?.["webhookId"])}`)).toEqual([]);
  expect(await items(bank, "/webhook/dead-letters?application=shop")).toEqual([]);
  const ended = async (api: typeof shop, id: string) =>
    eventually(async () => {
      const { body } = await api("GET", `/webhook/replays/${id}`);
      return body.endedAt !== null && (body as Record<string, unknown>);
    });
  const byId = async (ids: readonly unknown[]) => {
    const { body } = await bank("POST", "/webhook/replays", { body: { ids } });
    const { id: _id, startedAt: _startedAt, endedAt: _endedAt, ...rest } = await ended(bank, body.id);
    return rest;
  };
  expect(await byId([letter?.["id"]])).toEqual(await byId(["of-shop.ORDERS.9-a"]));
  expect(await ended(shop, replay.id)).toMatchObject({ matching: 1, relay: null });
  const cursor = (await shop("GET", "/webhook/dead-letters?limit=1")).body.next as string | null;
  if (cursor !== null) expect((await bank("GET", `/webhook/dead-letters?cursor=${cursor}`)).status).toBe(400);

  // What is its own it sends again.
  callback.respond(() => 200);
  const before = callback.requests.length;
  const resent = await shop("POST", "/webhook/subscriptions/of-shop/resend", { body: message });
  expect(resent.headers.get("location")).toBe(`/webhook/replays/${String(resent.body.id)}`);
  expect(await ended(shop, resent.body.id)).toMatchObject({ delivered: 1, source: "stream" });
  const replayed = await shop("POST", "/webhook/replays", { body: { filter: {} } });
  expect(await ended(shop, replayed.body.id)).toMatchObject({ delivered: 1, skipped: { foreign: 0 } });
  const bodies = callback.requests.slice(before).map((request) => request.body.toString());
  expect(bodies).toEqual(["message of-shop", "message of-shop"]);
  expect(await items(operator, "/api/dead-letters")).toMatchObject([{ subscription: "of-bank" }]);
  expect((await items(bank, "/webhook/replays")).every((one) => one["state"] === "done")).toBe(true);
  const tooMany = await Promise.all(
    Array.from({ length: 6 }, () =>
      shop("POST", "/webhook/subscriptions/of-shop/resend", { body: { sequences: { from: 1 }, rate: 1 } }),
    ),
  );
  expect(tooMany.some(({ status }) => status === 409)).toBe(true);
  expect((await operator("POST", "/api/replays", { body: { filter: {}, dryRun: true } })).status).toBe(202);
});

test("POST takes the snippets of the seeds as written, and makes the durable, also of a paused one", async () => {
  await using own = await setUp();
  const manager = await jetstreamManager(own.client);
  for (const snippet of Object.values(SUBSCRIPTIONS)) {
    const answer = await own.shop("POST", "/webhook/subscriptions", { body: snippet });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ application: "shop", entrypoint: "webhook" });
    expect(await manager.consumers.info("ORDERS", `relay-${String(answer.body.id)}`)).toBeDefined();
  }
  const { configuration } = JSON.parse(SUBSCRIPTIONS["a callback URL"]) as { configuration: object };
  const { entrypointId: _entrypointId, ...rest } = configuration as { entrypointId: string };
  const body = { id: "paused", status: "PAUSED", configuration: rest };
  expect((await own.shop("POST", "/webhook/subscriptions", { body })).status).toBe(403);
  expect((await own.operator("POST", "/webhook/subscriptions", { body })).status).toBe(201);
  const made = await manager.consumers.info("ORDERS", "relay-paused");
  await own.publish("orders.new", "published meanwhile");
  await eventually(
    async () => (await manager.consumers.info("ORDERS", "relay-paused")).num_pending === made.num_pending + 1,
  );
});

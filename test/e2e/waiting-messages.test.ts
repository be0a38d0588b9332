// What was published for a subscription waits for it, on a stream that keeps only what somebody waits for: while it is paused,
// from its birth on too, and wherever its durable consumer is made anew.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { startRelay, temporaryDirectory } from "../support/relay.ts";

type Qos = "NONE" | "AUTO" | "AT_LEAST_ONCE";

async function setUp({ hasStream = true } = {}) {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const receiver = stack.use(await startReceiver());
  const home = stack.use(await temporaryDirectory());
  const client = await nats.connect();
  const manager = await jetstreamManager(client);
  const addInterest = () => addStream(client, { retention: "interest" });
  if (hasStream) await addInterest();
  const owned = stack.move();
  const configFor = (qos: Qos, subscription: object = {}) => {
    const callbacks = { allow: ["127.0.0.0/8"] };
    const config = testConfig({
      natsUrl: nats.url,
      callbackUrl: receiver.url.href,
      qos,
      more: { callbacks },
    });
    const [sub] = config["subscriptions"] as object[];
    return { ...config, subscriptions: [{ ...sub, ...subscription }] };
  };
  return {
    home,
    manager,
    addInterest,
    configFor,
    receiver,
    async start(config: Readonly<Record<string, unknown>>) {
      const relay = owned.use(await startRelay({ config, directory: home.path }));
      const api = await openApi(await relay.url());
      return { relay, api };
    },
    async publish(first: number, last: number) {
      for (let i = first; i <= last; i += 1) await jetstream(client).publish("orders.x", String(i));
    },
    sent: (path = receiver.url.pathname) =>
      receiver.requests.filter((request) => request.path === path).map(({ body }) => Number(body.toString())),
    names: async () => {
      const names: string[] = [];
      for await (const { name } of manager.consumers.list("ORDERS")) names.push(name);
      return names;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

type Api = Awaited<ReturnType<typeof openApi>>;

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);
const isReady = (api: Api) => eventually(async () => (await api("GET", "/readyz")).status === 200);

test("paused, published to, moved, resumed: what waits from the new place on arrives", async () => {
  await using setup = await setUp();
  const { api } = await setup.start(setup.configFor("AUTO"));
  await isReady(api);
  await api("POST", "/api/subscriptions/sub/pause");
  await eventually(async () => (await api("GET", "/api/subscriptions/sub")).body.state === "paused");
  await setup.publish(1, 10);
  expect((await api("POST", "/api/subscriptions/sub/seek", { body: { sequence: 5 } })).status).toBe(200);
  await api("POST", "/api/subscriptions/sub/resume");
  await eventually(() => setup.sent().length === 6);
  expect(setup.sent().sort((a, b) => a - b)).toEqual(range(5, 10));
  expect(await setup.names()).toEqual(["relay-sub"]);
});

test("a seek that a work queue cannot do is refused with 409, and nothing is touched", async () => {
  await using setup = await setUp({ hasStream: false });
  await setup.manager.streams.add({ name: "ORDERS", subjects: ["orders.>"], retention: "workqueue" });
  const { api } = await setup.start(setup.configFor("AUTO", { status: "PAUSED" }));
  await setup.publish(1, 10);
  await api("POST", "/api/subscriptions/sub/resume");
  await eventually(async () => (await setup.names()).length === 1);
  const { created } = await setup.manager.consumers.info("ORDERS", "relay-sub");
  for (const to of [{ to: "new" }, { to: "last" }, { sequence: 5 }, { time: new Date(0).toISOString() }]) {
    const { status, body } = await api("POST", "/api/subscriptions/sub/seek", { body: to });
    expect(status).toBe(409);
    expect(body.detail).toContain("a work queue delivers all that it holds");
  }
  expect((await setup.manager.consumers.info("ORDERS", "relay-sub")).created).toBe(created);
  await eventually(() => setup.sent().length === 10);
});

test.each([
  ["AUTO", "NONE"],
  ["NONE", "AT_LEAST_ONCE"],
] as const)("a reload from %s to %s while ten wait: they arrive", async (before, after) => {
  await using setup = await setUp();
  const { api } = await setup.start(setup.configFor(before, { status: "PAUSED" }));
  await eventually(async () => (await setup.names()).length === 1);
  await setup.publish(1, 10);
  const config = { server: { listen: "127.0.0.1:0" }, logs: { level: "debug" }, ...setup.configFor(after) };
  await writeFile(join(setup.home.path, "relay.config.json"), JSON.stringify(config));
  expect((await api("POST", "/api/reload")).status).toBe(200);
  await eventually(() => setup.sent().length === 10);
  expect(setup.sent().sort((a, b) => a - b)).toEqual(range(1, 10));
});

test("made by API and PAUSED from its birth: its durable is there with the 201, and what is published from then on waits", async () => {
  await using setup = await setUp();
  const { api } = await setup.start(setup.configFor("AUTO"));
  await isReady(api);
  const make = (id: string, more: object) =>
    api("POST", "/api/subscriptions", {
      body: {
        id,
        configuration: { entrypointId: "webhook", callbackUrl: `${setup.receiver.url.origin}/${id}` },
        ...more,
      },
    });
  await setup.publish(1, 3);
  expect((await make("paused", { status: "PAUSED" })).status).toBe(201);
  expect(await setup.names()).toContain("relay-paused");
  expect((await make("running", {})).status).toBe(201);
  expect(await setup.names()).toContain("relay-running");
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
  expect((await make("later", { startingAt: tomorrow })).status).toBe(201);
  expect(await setup.names()).toContain("relay-later");
  await setup.publish(4, 8);
  await eventually(() => setup.sent("/running").length === 5);
  expect(setup.sent("/paused")).toEqual([]);
  expect((await api("POST", "/api/subscriptions/paused/resume")).status).toBe(200);
  await eventually(() => setup.sent("/paused").length === 5);
  expect(setup.sent("/paused").sort((a, b) => a - b)).toEqual(range(4, 8));
});

test("deleted, and made again at once under its id: what is published from then on arrives", async () => {
  await using setup = await setUp();
  const { api } = await setup.start(setup.configFor("AUTO"));
  await isReady(api);
  const body = {
    id: "again",
    status: "PAUSED",
    configuration: { entrypointId: "webhook", callbackUrl: `${setup.receiver.url.origin}/again` },
  };
  expect((await api("POST", "/api/subscriptions", { body })).status).toBe(201);
  expect((await api("DELETE", "/api/subscriptions/again")).status).toBe(204);
  expect((await api("POST", "/api/subscriptions", { body })).status).toBe(201);
  await setup.publish(1, 5);
  // What a deletion leaves to be cleared away has been by then.
  const cleared = performance.now() + 2500;
  await eventually(() => performance.now() > cleared);
  expect(await setup.names()).toContain("relay-again");
  await api("POST", "/api/subscriptions/again/resume");
  await eventually(() => setup.sent("/again").length === 5);
}, 120_000);

test("PAUSED in the file at its first start: its durable is made, as soon as the stream is there", async () => {
  await using setup = await setUp({ hasStream: false });
  const subscription = { status: "PAUSED" };
  const { api } = await setup.start(setup.configFor("AUTO", subscription));
  await api("GET", "/api/subscriptions/sub");
  await setup.addInterest();
  await eventually(async () => (await setup.names()).length === 1);
  await setup.publish(1, 5);
  await api("POST", "/api/subscriptions/sub/resume");
  await eventually(() => setup.sent().length === 5);
});

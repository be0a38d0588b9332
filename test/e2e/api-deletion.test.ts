// A subscription that is deleted while a request is in flight: whatever takes its id gets nothing of what it had, in no relay.

import { jetstream } from "@nats-io/jetstream";
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

type Json = Readonly<Record<string, unknown>>;

async function setUp() {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const client = await nats.connect();
  await addStream(client);
  const held: (() => void)[] = [];
  const receiver = stack.use(
    await startReceiver(({ path }) =>
      path === "/old" ? new Promise((resolve) => held.push(() => resolve(200))) : 200,
    ),
  );
  const base = testConfig({ natsUrl: nats.url, callbackUrl: receiver.url.href, qos: "AT_LEAST_ONCE" });
  const shutdown = { graceSeconds: 10 };
  const config: Json = { ...base, subscriptions: [], callbacks: { allow: ["127.0.0.0/8"] }, shutdown };
  const owned = stack.move();
  const toEntry = (path: string): Json => ({
    id: "x",
    configuration: {
      entrypointId: "webhook",
      deliverPolicy: "new",
      callbackUrl: `${receiver.url.origin}${path}`,
    },
  });
  const start = async () => {
    const directory = owned.use(await temporaryDirectory()).path;
    const relay = owned.use(await startRelay({ config, directory }));
    const api = await openApi(await relay.url());
    await eventually(async () => (await api("GET", "/readyz")).status === 200);
    return { api, directory };
  };
  const first = await start();
  type Api = (typeof first)["api"];
  const isConsuming = ({ api }: { api: Api }) =>
    eventually(async () => (await api("GET", "/api/subscriptions/x")).body.state === "running");
  const publish = async (...texts: readonly string[]) => {
    for (const text of texts) await jetstream(client).publish("orders.x", text);
  };
  const make = () => first.api("POST", "/api/subscriptions", { body: toEntry("/old") });
  await eventually(async () => (await make()).status === 201); // The bucket is made first.
  await isConsuming(first);
  await publish("one", "two", "three");
  await eventually(() => held.length === 1);
  return {
    config,
    first,
    start,
    toEntry,
    isConsuming,
    publish,
    /** Ends what is in flight. */
    letGo: () => held.forEach((end) => end()),
    sent: () => receiver.requests.map(({ path, body }) => `${path} ${body.toString()}`),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test("its id is refused by every relay until all that it had is gone, and begins without a backlog then", async () => {
  await using setup = await setUp();
  const { first, start, toEntry, publish, letGo, sent } = setup;
  const second = await start();
  await eventually(async () => (await second.api("GET", "/api/subscriptions/x")).body.state === "waiting"); // It stands by.
  const deletion = first.api("DELETE", "/api/subscriptions/x");
  for (const { api } of [first, second]) {
    await eventually(async () => (await api("GET", "/api/subscriptions/x")).status === 404);
    const refused = await api("POST", "/api/subscriptions", { body: toEntry("/new") });
    expect([refused.status, refused.body.detail]).toEqual([
      409,
      "A subscription with this id is still being deleted",
    ]);
  }
  letGo();
  expect((await deletion).status).toBe(204);
  const make = () => second.api("POST", "/api/subscriptions", { body: toEntry("/new") });
  await eventually(async () => (await make()).status === 201);
  const stateOf = async ({ api }: typeof first) => (await api("GET", "/api/subscriptions/x")).body.state;
  await eventually(async () => (await Promise.all([first, second].map(stateOf))).includes("running"));
  await publish("anew");
  await eventually(() => sent().includes("/new anew"));
  expect(sent()).toEqual(["/old one", "/new anew"]);
});

test("what the config file names so meanwhile begins when all that it had is gone, without a backlog", async () => {
  await using setup = await setUp();
  const { config, first, toEntry, isConsuming, publish, letGo, sent } = setup;
  const { api, directory } = first;
  const deletion = api("DELETE", "/api/subscriptions/x");
  await eventually(async () => (await api("GET", "/api/subscriptions/x")).status === 404);
  const server = { listen: "127.0.0.1:0" };
  const next = { ...config, server, logs: { level: "debug" }, subscriptions: [toEntry("/new")] };
  await writeFile(join(directory, "relay.config.json"), JSON.stringify(next));
  await eventually(async () => (await api("GET", "/api/subscriptions/x")).body.origin === "file");
  letGo();
  expect((await deletion).status).toBe(204);
  await isConsuming(first);
  await publish("anew");
  await eventually(() => sent().includes("/new anew"));
  expect(sent()).toEqual(["/old one", "/new anew"]);
});

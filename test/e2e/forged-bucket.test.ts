// A bucket that another client of NATS writes to: with `state.key` what does not prove itself is refused, kept and reported.

import { Kvm } from "@nats-io/kv";
import { headers as createHeaders, type NatsConnection } from "@nats-io/transport-node";
import { expect, test } from "bun:test";
import { type Api, openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";

const KEY = Buffer.alloc(32, 1).toString("base64");
const OTHER_KEY = Buffer.alloc(32, 2).toString("base64");
const PAUSED = JSON.stringify({ status: "PAUSED", declared: "ACCEPTED" });
const ACCEPTED = JSON.stringify({ status: "ACCEPTED", declared: "ACCEPTED" });
const SUB = "/api/subscriptions/sub";

interface Setup extends AsyncDisposable {
  readonly client: NatsConnection;
  readonly receiver: Receiver;
  start: (key?: string | null) => Promise<{ relay: RelayProcess; api: Api } & AsyncDisposable>;
  put: (key: string, value: string) => Promise<void>;
  stored: (key: string) => Promise<string | undefined>;
  publish: (text: string) => void;
}

async function setUp(): Promise<Setup> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const receiver = stack.use(await startReceiver());
  const client = await nats.connect();
  await addStream(client, { name: "ORDERS", subjects: ["orders.>"] });
  const store = () => new Kvm(client).open("relay");
  const owned = stack.move();
  return {
    client,
    receiver,
    async start(key = KEY) {
      const more = { callbacks: { allow: ["127.0.0.0/8"] }, state: key === null ? {} : { key } };
      const config = testConfig({ natsUrl: nats.url, callbackUrl: receiver.url.href, more });
      const relay = await startRelay({ config });
      const api = await openApi(await relay.url());
      await eventually(async () => (await api("GET", "/readyz")).status === 200);
      return { relay, api, [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose]() };
    },
    put: async (key, value) => void (await (await store()).put(key, value)),
    stored: async (key) => (await (await store()).get(key))?.string(),
    publish: (text) => client.publish("orders.new", text),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const unusable = async (api: Api) => (await api("GET", "/api/status")).body.unusable;
const operator = async (api: Api) => (await api("GET", SUB)).body.status;
const refusals = ({ logs }: RelayProcess) =>
  logs.filter(({ message }) => message === "An entry of the bucket is refused");

test("a pause is neither set nor ended by somebody else; a command writes over what they put there", async () => {
  await using setup = await setUp();
  await using first = await setup.start();
  const { api } = first;
  await setup.put("state.sub.operator", PAUSED);
  await eventually(async () => (await unusable(api)).length === 1);
  expect(await unusable(api)).toMatchObject([
    { id: "sub", reason: expect.stringContaining("state.sub.operator") },
  ]);
  expect(await operator(api)).toBe("ACCEPTED");
  setup.publish("sent");
  await eventually(() => setup.receiver.requests.length === 1);
  expect(await setup.stored("state.sub.operator")).toBe(PAUSED);

  expect((await api("POST", `${SUB}/pause`)).status).toBe(200);
  expect(await unusable(api)).toEqual([]);
  await using second = await setup.start();
  expect(await operator(second.api)).toBe("PAUSED");
  await setup.put("state.sub.operator", ACCEPTED);
  await setup.put("state.sub.operator", `${ACCEPTED} `);
  for (const { relay, api: asked } of [first, second]) {
    await eventually(async () => (await unusable(asked)).length === 1);
    expect(await operator(asked)).toBe("PAUSED");
    expect(refusals(relay)).toHaveLength(relay === first.relay ? 2 : 1);
  }
  expect((await second.api("POST", `${SUB}/resume`)).status).toBe(200);
  await eventually(async () => (await operator(api)) === "ACCEPTED");
  expect(await unusable(api)).toEqual([]);
}, 120_000);

test("a command waits for nothing where a state of Relay's own could not be written over a foreign one", async () => {
  await using setup = await setUp();
  await using started = await setup.start();
  const { api } = started;
  await setup.put("state.sub.failure", "null");
  await eventually(async () => (await unusable(api)).length === 1);
  setup.receiver.respond(() => 404);
  setup.publish("fails");
  await eventually(async () => (await api("GET", SUB)).body.consumerStatus === "FAILURE");
  expect(await setup.stored("state.sub.failure")).toBe("null");
  setup.receiver.respond(() => 200);
  expect((await api("POST", `${SUB}/resume`)).status).toBe(200);
  await eventually(async () => (await api("GET", SUB)).body.consumerStatus === "STARTED");
  await eventually(() => setup.receiver.requests.length >= 2);
  expect(await unusable(api)).toEqual([]);
}, 120_000);

test("a subscription that is not sealed, was changed or moved does not run, and stays as it is", async () => {
  await using setup = await setUp();
  const url = (path: string) => new URL(path, setup.receiver.url).href;
  const entry = (id: string, path: string) => ({
    id,
    configuration: { entrypointId: "webhook", channel: `orders.${id}`, callbackUrl: url(path) },
  });
  await using first = await setup.start();
  expect((await first.api("POST", "/api/subscriptions", { body: entry("made", "/made") })).status).toBe(201);
  const sealed = (await setup.stored("subscription.made")) ?? "";
  const plain = JSON.stringify({ entry: entry("forged", "/evil") });
  await setup.put("subscription.forged", plain);
  await setup.put("subscription.moved", sealed);
  await setup.put("subscription.made", JSON.stringify({ entry: entry("made", "/evil") }));
  await eventually(async () => (await unusable(first.api)).length === 3);
  // What runs goes on as it was.
  await eventually(async () => (await first.api("GET", "/api/subscriptions/made")).body.state === "running");
  setup.client.publish("orders.made", "x");
  await eventually(() => setup.receiver.requests.some(({ path }) => path === "/made"));
  await using second = await setup.start();
  const ids = (await unusable(second.api)).map(({ id }: { id: string }) => id);
  expect(ids.sort()).toEqual(["forged", "made", "moved"]);
  expect((await second.api("GET", "/api/subscriptions/forged")).status).toBe(404);
  expect(await setup.stored("subscription.forged")).toBe(plain);
  expect(setup.receiver.requests.filter(({ path }) => path === "/evil")).toEqual([]);
  // A command replaces one, another one removes one.
  const replaced = await first.api("PUT", "/api/subscriptions/made", { body: entry("made", "/again") });
  expect(replaced.status).toBe(200);
  expect((await second.api("DELETE", "/api/subscriptions/forged")).status).toBe(204);
  await eventually(async () => (await second.api("GET", "/api/subscriptions/made")).status === 200);
  expect(await unusable(second.api)).toMatchObject([{ id: "moved" }]);
}, 120_000);

test("a relay with another key neither obeys states nor replaces them by itself; one without a key takes all", async () => {
  await using setup = await setUp();
  await using first = await setup.start();
  expect((await first.api("POST", `${SUB}/stop`)).status).toBe(200);
  const before = await setup.stored("state.sub.consumer");
  {
    await using other = await setup.start(OTHER_KEY);
    expect(await unusable(other.api)).toMatchObject([{ id: "sub" }]);
    expect((await other.api("GET", SUB)).body.consumerStatus).toBe("STARTED");
    expect(await setup.stored("state.sub.consumer")).toBe(before);
  }
  await using open = await setup.start(null);
  expect(await unusable(open.api)).toEqual([]);
  expect((await open.api("GET", SUB)).body.consumerStatus).toBe("STOPPED");
}, 120_000);

test("a signature does not make an entry of another key genuine", async () => {
  await using setup = await setUp();
  await using started = await setup.start();
  expect((await started.api("POST", `${SUB}/pause`)).status).toBe(200);
  const entry = await (await new Kvm(setup.client).open("relay")).get("state.sub.operator");
  if (entry === null) throw new Error("It was not stored");
  const { header } = await setup.client
    .request(
      "$JS.API.STREAM.MSG.GET.KV_relay",
      JSON.stringify({ last_by_subj: "$KV.relay.state.sub.operator" }),
    )
    .then((answer) => answer.json<{ message: { hdrs: string } }>())
    .then(({ message }) => ({
      header: /Relay-Signature: (\S+)/.exec(Buffer.from(message.hdrs, "base64").toString())?.[1] ?? "",
    }));
  expect(header).toStartWith("v1=");
  const headers = createHeaders();
  headers.append("Relay-Signature", header);
  setup.client.publish("$KV.relay.state.other.operator", entry.value, { headers });
  setup.client.publish("$KV.relay.state.sub.operator", ACCEPTED, { headers });
  await eventually(async () => (await unusable(started.api)).length === 2);
  expect(await operator(started.api)).toBe("PAUSED");
});

// What a callback asks for by Retry-After ends where somebody takes the subscription in hand: a day is long.

import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { type Api, openApi } from "../support/api.ts";
import { RETRY_ON_FAIL, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { startReceiver } from "../support/receiver.ts";
import { startRelay, temporaryDirectory } from "../support/relay.ts";

const DAY = 86_400;

type Act = (api: Api, rewrite: (from: string, to: string) => Promise<void>) => Promise<unknown>;

const command = (api: Api, name: string, body?: object) =>
  api("POST", `/api/subscriptions/sub/${name}`, body === undefined ? {} : { body });

const asleep = (api: Api) =>
  eventually(async () => (await api("GET", "/api/subscriptions/sub")).body.state === "asleep");

test.concurrent.each<[string, "AUTO" | "AT_LEAST_ONCE", Act]>([
  [
    "a reload that changes its callback",
    "AUTO",
    async (api, rewrite) => {
      await rewrite("/sub", "/repaired");
      await api("POST", "/api/reload");
    },
  ],
  [
    "a reload that changes its callback",
    "AT_LEAST_ONCE",
    async (api, rewrite) => {
      await rewrite("/sub", "/repaired");
      await api("POST", "/api/reload");
    },
  ],
  [
    "pause and resume at once",
    "AUTO",
    async (api) => {
      await command(api, "pause");
      await command(api, "resume");
    },
  ],
  [
    "stop and start",
    "AT_LEAST_ONCE",
    async (api) => {
      await command(api, "stop");
      await asleep(api);
      await command(api, "start");
    },
  ],
  ["a seek", "AUTO", (api) => command(api, "seek", { sequence: 1 })],
])(
  "%s ends the pause that the callback asked for, under %s",
  async (_name, qos, act) => {
    await using nats = await startNatsServer();
    await using receiver = await startReceiver(() => ({
      status: 503,
      headers: { "retry-after": String(DAY) },
    }));
    await using home = await temporaryDirectory();
    const client = await nats.connect();
    await addStream(client);
    const config = testConfig({
      natsUrl: nats.url,
      callbackUrl: `${receiver.url.origin}/sub`,
      qos,
      entrypoint: { interruptConsumptionOnServerError: false },
      subscription: { retry: { ...RETRY_ON_FAIL, maxDelaySeconds: DAY } },
    });
    await using relay = await startRelay({ config, directory: home.path });
    const api = await openApi(await relay.url());
    await jetstream(client).publish("orders.a", "1");
    await eventually(() => receiver.requests.length === 1);
    await eventually(async () => (await api("GET", "/api/subscriptions/sub")).body.retrying === 1);
    receiver.respond(() => 200);
    await jetstream(client).publish("orders.a", "2");
    await act(api, async (from, to) => {
      const path = join(home.path, "relay.config.json");
      await Bun.write(path, (await Bun.file(path).text()).replace(from, to));
    });
    await eventually(() => receiver.requests.length >= 3);
    expect(new Set(receiver.requests.slice(1).map(({ body }) => body.toString()))).toEqual(
      new Set(["1", "2"]),
    );
  },
  30_000,
);

test.concurrent("a pause that the former callback asks for after a reload holds nothing", async () => {
  await using nats = await startNatsServer();
  await using receiver = await startReceiver();
  await using home = await temporaryDirectory();
  const answer = Promise.withResolvers<void>();
  receiver.respond(async ({ path }) => {
    if (path === "/repaired") return 200;
    await answer.promise;
    return { status: 503, headers: { "retry-after": String(DAY) } };
  });
  const client = await nats.connect();
  await addStream(client);
  const toConfig = (path: string) =>
    testConfig({
      natsUrl: nats.url,
      callbackUrl: new URL(path, receiver.url).href,
      entrypoint: { interruptConsumptionOnServerError: false },
      subscription: { retry: { ...RETRY_ON_FAIL, maxDelaySeconds: DAY } },
      more: { server: { listen: "127.0.0.1:0" }, logs: { level: "info" } },
    });
  await using relay = await startRelay({ config: toConfig("/sub"), directory: home.path });
  await jetstream(client).publish("orders.a", "1");
  await eventually(() => receiver.requests.length === 1);
  await Bun.write(join(home.path, "relay.config.json"), JSON.stringify(toConfig("/repaired")));
  await relay.logged("Config reloaded");
  answer.resolve();
  await eventually(() => receiver.requests.length === 2);
  expect(receiver.requests.map(({ path }) => path)).toEqual(["/sub", "/repaired"]);
}, 30_000);

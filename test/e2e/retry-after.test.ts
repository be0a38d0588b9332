// What a callback asks for by Retry-After holds its subscription, whatever becomes of the message, and ends where somebody takes
// the subscription in hand: a day is long.

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

const isStopped = (api: Api) =>
  eventually(async () => (await api("GET", "/api/subscriptions/sub")).body.state === "stopped");

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
      await isStopped(api);
      await command(api, "start");
    },
  ],
  ["a resume alone", "AUTO", (api) => command(api, "resume")],
  ["a start alone", "AT_LEAST_ONCE", (api) => command(api, "start")],
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
  120_000,
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
}, 120_000);

const PAUSE_SECONDS = 2;
/** Some calls of the API fit into it. */
const LONG_PAUSE_SECONDS = 10;
/** The clock of timers may be early. */
const PAUSE_MS = PAUSE_SECONDS * 1000 - 50;

test.concurrent("what is dead-lettered, dropped or interrupts holds the next request as well, under every quality of service", async () => {
  await using nats = await startNatsServer();
  const times = new Map<string, number[]>();
  await using receiver = await startReceiver(({ path }) => {
    const seen = times.get(path) ?? [];
    times.set(path, [...seen, performance.now()]);
    return seen.length === 0 ? { status: 503, headers: { "retry-after": String(PAUSE_SECONDS) } } : 200;
  });
  const client = await nats.connect();
  await addStream(client);
  const ways = (["NONE", "AUTO", "AT_MOST_ONCE", "AT_LEAST_ONCE"] as const).flatMap((qos) => [
    { id: `${qos}-letter`, qos, dlq: { endpoint: "letters" }, isInterrupting: false },
    { id: `${qos}-drop`, qos, isInterrupting: false },
    { id: `${qos}-interrupt`, qos, isInterrupting: true },
  ]);
  const base = testConfig({ natsUrl: nats.url, callbackUrl: receiver.url.href, hasDeadLetters: true });
  const config = {
    ...base,
    entrypoints: ways.map(({ isInterrupting, ...entrypoint }) => ({
      type: "webhook",
      endpoint: "orders",
      ...entrypoint,
      configuration: {
        http: { maxConcurrentConnections: 1 },
        interruptConsumptionOnServerError: isInterrupting,
        // Its probe would come sooner than it may.
        resume: { strategy: "AUTO", initialDelaySeconds: 1 },
      },
    })),
    subscriptions: ways.map(({ id }) => ({
      id,
      configuration: { entrypointId: id, callbackUrl: new URL(id, receiver.url).href, deliverPolicy: "all" },
    })),
  };
  for (const body of ["1", "2", "3"]) await jetstream(client).publish("orders.a", body);
  await using relay = await startRelay({ config });
  await relay.logged("Sends nothing: the callback asked for a pause with Retry-After");
  for (const { id } of ways) {
    const own = () => times.get(`/${id}`) ?? [];
    await eventually(() => own().length >= 2, { what: `${id} to go on` });
    const [first = 0, second = 0] = own();
    expect([id, second - first >= PAUSE_MS]).toEqual([id, true]);
  }
}, 120_000);

test.concurrent("a replay and a live message wait as well, a test of the callback does not", async () => {
  await using nats = await startNatsServer();
  const paths: [body: string, at: number][] = [];
  await using receiver = await startReceiver((request, index) => {
    paths.push([request.body.toString(), performance.now()]);
    if (index === 0) return 404;
    return index === 1 ? { status: 429, headers: { "retry-after": String(LONG_PAUSE_SECONDS) } } : 200;
  });
  const client = await nats.connect();
  await addStream(client);
  const config = testConfig({ natsUrl: nats.url, callbackUrl: receiver.url.href, hasDeadLetters: true });
  await using relay = await startRelay({ config });
  const api = await openApi(await relay.url());
  await relay.logged("Consuming");
  await jetstream(client).publish("orders.a", "rejected");
  await relay.logged("Message dead-lettered");
  await jetstream(client).publish("orders.a", "asking");
  await eventually(
    () => relay.logs.filter(({ message }) => message === "Message dead-lettered").length === 2,
  );
  await jetstream(client).publish("orders.a", "live");
  const { body } = await api("GET", "/api/subscriptions/sub");
  expect(body).toMatchObject({
    state: "waiting",
    reason: expect.stringMatching(/^Retry-After: sends nothing until /u),
  });
  expect((await api("POST", "/api/replays", { body: { filter: { subscription: "sub" } } })).status).toBe(202);
  expect((await api("POST", "/api/subscriptions/sub/test", { body: "tried" })).body.status).toBe(200);
  await eventually(() => paths.length === 6, { withinMs: 20_000 });
  const [, [, askedAt] = ["", 0], [first] = [""], ...held] = paths;
  expect(first).toContain("tried");
  expect(held.map(([body]) => body).toSorted()).toEqual(["asking", "live", "rejected"]);
  for (const [, at] of held) expect(at - askedAt).toBeGreaterThanOrEqual(LONG_PAUSE_SECONDS * 1000 - 50);
}, 120_000);

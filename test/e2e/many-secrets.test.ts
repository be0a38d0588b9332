// As many secrets as a relay may be given: no size of them stops a write or a reload, and what changes is masked from its request on.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Api, openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { startRelay, temporaryDirectory } from "../support/relay.ts";

type Json = Readonly<Record<string, unknown>>;

let stack: AsyncDisposableStack;
let nats: NatsServer;
/** Answers with the header of the request that holds the secret. */
let echo: Receiver;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
  await addStream(await nats.connect(), { name: "ORDERS", subjects: ["orders.>"] });
  echo = stack.use(
    await startReceiver(({ headers }) => ({
      status: 200,
      body: headers.map(([name, value]) => `${name}: ${value}`).join("\n"),
    })),
  );
});
afterAll(() => stack.disposeAsync());

interface Started extends AsyncDisposable {
  readonly api: Api;
  /** What the relay said of the change. */
  readonly reload: (config: Json) => Promise<readonly string[]>;
}

async function start(config: Json): Promise<Started> {
  await using owned = new AsyncDisposableStack();
  const directory = owned.use(await temporaryDirectory()).path;
  const basis = { server: { listen: "127.0.0.1:0" }, logs: { level: "info" } };
  const relay = owned.use(await startRelay({ config: { ...basis, ...config }, directory }));
  const api = await openApi(await relay.url());
  await eventually(async () => (await api("GET", "/readyz")).status === 200);
  const moved = owned.move();
  return {
    api,
    async reload(next) {
      await writeFile(join(directory, "relay.config.json"), JSON.stringify({ ...basis, ...next }));
      const answer = await api("POST", "/api/reload", { body: {} });
      expect([answer.status, answer.body.detail]).toEqual([200, undefined]);
      return answer.body.changes;
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

test("400 tokens of 800 characters, 7,000 short headers and 1,000 parameters stop neither writes nor reloads", async () => {
  const toConfig = (): Json => {
    const base = testConfig({
      natsUrl: nats.url,
      callbackUrl: echo.url.href,
      more: { state: { bucket: "many", key: randomBytes(32).fill(1).toString("base64") } },
    });
    const long = Array.from({ length: 400 }, (_, index) => ({
      id: `long-${index}`,
      status: "PAUSED",
      configuration: {
        entrypointId: "webhook",
        callbackUrl: echo.url.href,
        auth: { type: "token", token: { value: randomBytes(400).toString("hex") } },
      },
    }));
    return { ...base, subscriptions: [...(base["subscriptions"] as Json[]), ...long] };
  };
  await using started = await start(toConfig());
  const { api, reload } = started;
  // What a start costs is over.
  const { streams } = await jetstreamManager(await nats.connect());
  await eventually(async () => (await streams.info("ORDERS")).state.consumer_count > 400, {
    withinMs: 60_000,
    what: "the consumers of all",
  });
  const post = async (id: string, more: Json) => {
    const configuration = { entrypointId: "webhook", callbackUrl: "https://a.example/", ...more };
    return api("POST", "/api/subscriptions", { body: { id, status: "PAUSED", configuration } });
  };
  for (let index = 0; index < 70; index += 1) {
    const headers = Array.from({ length: 100 }, (_, at) => ({
      name: `X-${at}`,
      value: randomBytes(5).toString("hex"),
    }));
    expect((await post(`short-${index}`, { headers })).status).toBe(201);
  }
  const query = Array.from({ length: 1000 }, (_, at) => `key-${at}=${randomBytes(5).toString("hex")}`).join(
    "&",
  );
  const refused = await post("parameters", { callbackUrl: `https://a.example/?${query}` });
  expect(refused.status).toBe(422);
  expect(refused.body.errors).toEqual([
    {
      path: "configuration.callbackUrl",
      message: expect.stringMatching(/^found \d+ characters, allowed: at most 8192$/) as string,
    },
  ]);
  expect(await reload(toConfig())).not.toEqual([]);
  expect((await post("last", {})).status).toBe(201);
}, 150_000);

test("a secret that a reload changes is hidden in what was sent with it, the new one in what comes after", async () => {
  const [before, after] = ["key-before-the-reload", "key-after-the-reload"];
  const toConfig = (value: string) =>
    testConfig({
      natsUrl: nats.url,
      callbackUrl: echo.url.href,
      entrypoint: {
        sampling: { type: "ALL" },
        logging: { enabled: true, request: { headers: true }, response: { payload: true } },
      },
      subscription: { channel: "orders.rotated", headers: [{ name: "X-Key", value }] },
      more: { state: { bucket: "rotated" } },
    });
  await using started = await start(toConfig(before));
  const { api, reload } = started;
  const js = jetstream(await nats.connect());
  const ids = async () =>
    (await api("GET", "/api/deliveries")).body.items.map(({ id }: { id: string }) => id) as string[];
  const deliver = async (number: number) => {
    await js.publish("orders.rotated", "{}");
    await eventually(async () => (await ids()).length === number);
  };
  await deliver(1);
  await reload(toConfig(after));
  await deliver(2);
  const keys = echo.requests.map(({ headers }) => headers.find(([name]) => name === "X-Key")?.[1]);
  expect(keys).toEqual([before, after]);
  for (const id of await ids()) {
    const { request, response } = (await api("GET", `/api/deliveries/${id}`)).body;
    expect(request.headers).toContainEqual(["X-Key", "***"]);
    expect(response.body).toContain("X-Key: ***");
    expect(JSON.stringify({ request, response })).not.toMatch(/key-(?:before|after)/);
  }
});

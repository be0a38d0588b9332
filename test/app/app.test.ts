// A whole relay in this process: without NATS, stopped while it starts, and brought to several configs at once.

import { afterAll, beforeAll, expect, test } from "bun:test";
import type { NatsConnection } from "@nats-io/transport-node";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type App, startApp } from "#app/app.ts";
import { startCore } from "#app/core.ts";
import { loadConfig } from "#config/load.ts";
import type { Config } from "#config/resolve.ts";
import { createProgress } from "#runtime/progress.ts";
import { type ConfigOptions, RETRY_ON_FAIL, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream, createRecordingLogger } from "../support/nats.ts";
import { freePort, type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { temporaryDirectory } from "../support/relay.ts";
import { startScriptedReceiver } from "../support/scripted-receiver.ts";

let stack: AsyncDisposableStack;
let directory: string;
let server: NatsServer;
let client: NatsConnection;
let homes = 0;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  directory = stack.use(await temporaryDirectory()).path;
  server = stack.use(await startNatsServer());
  client = await server.connect();
  await addStream(client);
});
afterAll(() => stack.disposeAsync());

/** Loads configs of one relay: all of them have its state. */
async function openHome() {
  const home = join(directory, String((homes += 1)));
  await mkdir(home);
  return async (options: Partial<ConfigOptions> = {}): Promise<Config> => {
    const path = join(home, "relay.config.json");
    const config = testConfig({ natsUrl: server.url, callbackUrl: "http://127.0.0.1:9/", ...options });
    const own = {
      server: { listen: "127.0.0.1:0" },
      state: { directory: join(home, "state"), bucket: `b${homes}` },
    };
    await writeFile(path, JSON.stringify({ ...own, ...config }));
    return loadConfig(path, { env: {}, signal: new AbortController().signal });
  };
}

const noNats = async () => `nats://127.0.0.1:${await freePort()}`;

async function start(config: Config): Promise<App & { readonly messages: () => readonly string[] }> {
  const logger = createRecordingLogger();
  const app = await startApp(config, {
    logger,
    observers: [],
    reload: {
      configPath: "relay.config.json",
      run: () => Promise.resolve({ kind: "applied", changes: [], warnings: [] }),
      refused: () => null,
    },
  });
  return Object.defineProperties({} as App & { messages: () => readonly string[] }, {
    ...Object.getOwnPropertyDescriptors(app),
    messages: { value: () => logger.lines.map(({ message }) => message) },
  });
}

test("startApp() without NATS listens and is not ready, takes a config, and stops at once", async () => {
  const load = await openHome();
  const natsUrl = await noNats();
  const app = await start(await load({ natsUrl }));
  expect((await fetch(`${app.url}livez`)).status).toBe(200);
  expect((await fetch(`${app.url}readyz`)).status).toBe(503);
  expect(app.runtime.find("sub")?.state().kind).toBe("waiting");
  expect(await app.connected(AbortSignal.timeout(10))).toBe(false);
  const changes = await app.apply(await load({ natsUrl, more: { subscriptions: [] } }));
  expect(changes).toHaveLength(1);
  expect(app.runtime.size).toBe(0);
  await app.stop();
  expect(fetch(`${app.url}livez`)).rejects.toThrow();
});

test("startApp() that cannot listen rejects, and leaves nothing running", async () => {
  const other = await start(await (await openHome())());
  const load = await openHome();
  const listen = `127.0.0.1:${new URL(other.url ?? "").port}`;
  expect(start(await load({ more: { server: { listen } } }))).rejects.toThrow(listen);
  await other.stop();
});

test("stop() right after the start ends it, with NATS and without; a second stop and a config are refused", async () => {
  for (const natsUrl of [server.url, await noNats()]) {
    const load = await openHome();
    const config = await load({ natsUrl });
    const app = await start(config);
    const stopped = app.stop();
    expect(app.stop()).rejects.toThrow("stopping already");
    expect(app.apply(config)).rejects.toThrow("the relay is stopping");
    await stopped;
    expect(app.runtime.find("sub")?.state().kind).toBe("stopped");
  }
});

test("apply() refuses whole what cannot change, and the config before stays", async () => {
  const load = await openHome();
  const natsUrl = await noNats();
  const app = await start(await load({ natsUrl }));
  const next = await load({ natsUrl, more: { state: { directory: "/elsewhere" }, subscriptions: [] } });
  expect(app.apply(next)).rejects.toThrow("state.directory");
  expect([app.runtime.size, app.config().subscriptions.length]).toEqual([1, 1]);
  await app.stop();
});

test("startCore() without NATS waits, and stops at once; two configs at once are a bug", async () => {
  const load = await openHome();
  const config = await load({ natsUrl: await noNats() });
  const core = startCore(config, {
    logger: createRecordingLogger(),
    observer: { attempted: () => {}, settled: () => {}, postponed: () => {} },
    onStateChanged: () => {},
    onLoggingKept: () => {},
    progress: createProgress({ now: () => performance.now() }),
    check: () => Promise.resolve(null),
  });
  expect(core.runtime.readiness().isReady).toBe(false);
  expect(core.bucketFault()).not.toBeNull();
  const first = core.apply(config);
  expect(core.apply(config)).rejects.toThrow("Another config");
  expect(await first).toMatchObject({ isSettled: true });
  await core.stop(60_000);
});

test("a message that waits for its retry goes to the callback of the next config", async () => {
  await using receiver = await startScriptedReceiver();
  const load = await openHome();
  const retry = { ...RETRY_ON_FAIL, maxAttempts: 9, maxDelaySeconds: 1 };
  const at = (path: string) => ({ callbackUrl: `${receiver.url}${path}`, entrypoint: { retry } });
  const app = await start(await load(at("/before")));
  await client.request("orders.a", JSON.stringify({ name: "one", answers: [500] }));
  await eventually(() => app.runtime.find("sub")?.stats().retrying === 1);
  receiver.heal();
  expect(await app.apply(await load(at("/after")))).toEqual([expect.stringContaining("sub")]);
  await eventually(() => receiver.names("/after").length === 1);
  expect(receiver.names("/before")).toEqual(["one"]);
  await app.stop();
});

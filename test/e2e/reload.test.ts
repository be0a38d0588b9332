// A changed config becomes the one that runs: however the file is written, whole or not at all, and only what changed begins anew.

import { jetstream, type JetStreamClient } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Api, openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { isInState, readMetric, readReadiness } from "../support/metrics.ts";
import { addStream } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { changesOf, type RelayProcess, runRelay, startRelay, temporaryDirectory } from "../support/relay.ts";
import { type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";

type Json = Readonly<Record<string, unknown>>;

let stack: AsyncDisposableStack;
let nats: NatsServer;
let js: JetStreamClient;
let receiver: ScriptedReceiver;
let streams = 0;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
  js = jetstream(await nats.connect());
  receiver = stack.use(await startScriptedReceiver());
});
afterAll(() => stack.disposeAsync());

/** In a config: stands for the subjects of the test. */
const PREFIX = "PREFIX";

interface Setup extends AsyncDisposable {
  readonly relay: RelayProcess;
  readonly api: Api;
  readonly directory: string;
  /** Of the config file. */
  readonly path: string;
  /** Names the paths of this test's callbacks. */
  readonly prefix: string;
  /** The config that it started with, for the path of the callback of `sub`. */
  readonly toConfig: (path: string, more?: Json) => Json;
  /** What it started with, in other words. */
  readonly write: (config: Json) => Promise<void>;
  readonly reload: () => Promise<readonly string[]>;
  readonly publish: (
    name: string,
    options?: { token?: string; answers?: readonly number[] },
  ) => Promise<unknown>;
}

async function setUp(subscriptions: readonly Json[] = []): Promise<Setup> {
  await using owned = new AsyncDisposableStack();
  const directory = owned.use(await temporaryDirectory()).path;
  streams += 1;
  const prefix = `reload-${streams}`;
  await addStream(await nats.connect(), { name: `RELOAD_${streams}`, subjects: [`${prefix}.>`] });
  const stream = `RELOAD_${streams}`;
  const toConfig = (path: string, more: Json = {}) => {
    const callbackUrl = `${receiver.url}/${prefix}/${path}`;
    const subscription = { channel: `${prefix}.sub` };
    const config = testConfig({ natsUrl: nats.url, callbackUrl, subscription, consumer: { stream } });
    const all = [...(config["subscriptions"] as Json[]), ...subscriptions];
    const basis = { server: { listen: "127.0.0.1:0" }, logs: { level: "info" } };
    const state = { bucket: `relay-${prefix}` };
    return { ...basis, ...config, state, subscriptions: all, ...more };
  };
  const toText = (config: Json) => JSON.stringify(config, null, 2).replaceAll(PREFIX, prefix);
  const first = JSON.parse(toText(toConfig("a"))) as Json;
  const relay = owned.use(await startRelay({ config: first, directory }));
  await eventually(() => isInState(relay, "sub", "running"));
  const api = await openApi(await relay.url());
  const path = join(directory, "relay.config.json");
  const moved = owned.move();
  let taken = 0;
  return {
    relay,
    api,
    directory,
    path,
    prefix,
    toConfig,
    write: (config) => writeFile(path, toText(config)),
    async reload() {
      const { status, body } = await api("POST", "/api/reload");
      if (status !== 200) throw new Error(body.detail);
      // The relay may have seen the file change before it was asked.
      const changes =
        body.changes.length > 0 ? body.changes : await eventually(() => changesOf(relay)[taken]);
      taken += 1;
      return changes;
    },
    publish: (name, { token = "sub", answers = [200] } = {}) =>
      js.publish(`${prefix}.${token}`, JSON.stringify({ name, answers })),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

function subscription(id: string, changes: Json = {}): Json {
  const configuration = {
    entrypointId: "webhook",
    callbackUrl: `${receiver.url}/${id}`,
    deliverPolicy: "all",
  };
  return { id, configuration: { ...configuration, channel: `${PREFIX}.${id}`, ...changes } };
}

const WAYS: Readonly<Record<string, (setup: Setup, text: string) => Promise<void>>> = {
  "a file moved over it": async ({ path }, text) => {
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
  },
  "an edit in place": ({ path }, text) => writeFile(path, text),
  "a symbolic link set elsewhere, as Kubernetes does": async ({ path, directory }, text) => {
    // The link to the directory is what changes; the name of the file stays a link to it.
    for (const [version, content] of [
      ["one", await readFile(path, "utf8")],
      ["two", text],
    ] as const) {
      await mkdir(join(directory, version));
      await writeFile(join(directory, version, "relay.config.json"), content);
    }
    await symlink("one", join(directory, "data"));
    await symlink(join("data", "relay.config.json"), `${path}.link`);
    await rename(`${path}.link`, path);
    await symlink("two", join(directory, "data.new"));
    await rename(join(directory, "data.new"), join(directory, "data"));
  },
  SIGHUP: async ({ relay, path }, text) => {
    await writeFile(path, text);
    relay.signal("SIGHUP");
  },
  "relay reload": async ({ path, directory }, text) => {
    await writeFile(path, text);
    const { exitCode, stdout } = await runRelay(["reload"], { cwd: directory });
    expect(exitCode).toBe(0);
    // The relay may have seen the file change before it was asked.
    expect(stdout).toMatch(/^(Subscription sub changed without interruption|Nothing changed: .+)\n$/);
  },
};

test.each(Object.keys(WAYS))("%s is taken", async (way) => {
  await using setup = await setUp();
  const { relay, prefix, toConfig, publish } = setup;
  await publish("one");
  await eventually(() => receiver.names(`/${prefix}/a`).length === 1);
  await WAYS[way]?.(setup, JSON.stringify(toConfig("b")));
  await relay.logged("Config reloaded");
  await publish("two");
  await eventually(() => receiver.names(`/${prefix}/b`).length === 1);
  expect(receiver.names(`/${prefix}/a`)).toEqual(["one"]);
  expect(receiver.names(`/${prefix}/b`)).toEqual(["two"]);
});

test("a file with one fault changes nothing of what it also says, and the status tells why until it is mended", async () => {
  await using setup = await setUp([subscription("second")]);
  const { relay, api, prefix, toConfig, write, publish } = setup;
  const loadedAt = (await api("GET", "/api/status")).body.config.loadedAt;
  await write({ ...toConfig("b"), subscriptions: [], shutdown: { graceSecond: 3 } });
  const refused = await relay.logged("Config refused, the running one stays active");
  expect(refused["reason"]).toContain("shutdown.graceSecond: unknown key");
  const { config } = (await api("GET", "/api/status")).body;
  expect(config).toMatchObject({ loadedAt, refused: refused["reason"] });
  expect(await readMetric(relay, "relay_config_last_reload_successful")).toBe(0);
  await publish("goes on");
  await eventually(() => receiver.names(`/${prefix}/a`).length === 1);
  expect(await isInState(relay, "second", "running")).toBe(true);

  await write(toConfig("b"));
  await eventually(async () => (await api("GET", "/api/status")).body.config.refused === null);
  expect(await readMetric(relay, "relay_config_last_reload_successful")).toBe(1);
  await publish("mended");
  await eventually(() => receiver.names(`/${prefix}/b`).length === 1);
});

test("what cannot change while it runs is refused whole and named; relay reload exits with 1", async () => {
  await using setup = await setUp();
  const { relay, api, directory, prefix, toConfig, write, publish } = setup;
  const url = await relay.url();
  const token = { type: "token", value: "a-token-of-the-server" };
  for (const [more, named] of [
    [{ server: { listen: "127.0.0.1:0", auth: token } }, "server.auth"],
    [{ server: { listen: null } }, "server.listen"],
    [{ nats: { servers: [nats.url, "nats://127.0.0.1:1"] } }, "nats.servers"],
    [{ nats: { servers: [nats.url], inboxPrefix: "_OTHER" } }, "nats.inboxPrefix"],
    [{ nats: { servers: [nats.url], auth: { type: "token", value: "a-token-of-nats" } } }, "nats.auth"],
    [{ state: { bucket: "elsewhere" } }, "state.bucket"],
    [{ state: { bucket: `relay-${prefix}`, directory: "other" } }, "server.controlSocket, state.directory"],
  ] as const) {
    await write(toConfig("b", more));
    const refusal = `Cannot change ${named} while the relay runs: restart it to use this config`;
    const { status, body } = await api("POST", "/api/reload");
    expect([status, body.detail]).toEqual([422, refusal]);
    expect((await api("GET", "/api/status")).body.config.refused).toBe(refusal);
  }
  await write(toConfig("b", { state: { bucket: "elsewhere" } }));
  expect(await runRelay(["reload"], { cwd: directory })).toEqual({
    exitCode: 1,
    stdout: "",
    stderr:
      "Cannot change state.bucket while the relay runs: restart it to use this config\nThe running config stays active.\n",
  });
  await publish("one");
  await eventually(() => receiver.names(`/${prefix}/a`).length === 1);
  await write(toConfig("a"));
  const { exitCode, stdout } = await runRelay(["reload"], { cwd: directory });
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining("Nothing changed: ")]);
  expect((await fetch(`${url}/livez`)).status).toBe(200);
});

test("only what changed begins anew; what is gone leaves nothing in the metrics", async () => {
  const started = ["kept", "moved", "narrowed", "removed"].map((id) => subscription(id));
  await using setup = await setUp(started);
  const { relay, api, toConfig, write, reload, publish } = setup;
  for (const { id } of started) await eventually(() => isInState(relay, String(id), "running"));
  await publish("one", { token: "removed" });
  await eventually(
    async () => (await readMetric(relay, "relay_messages_total", { subscription: "removed" })) === 1,
  );
  const basis = toConfig("a");
  const [sub] = basis["subscriptions"] as Json[];
  const moved = subscription("moved", { callbackUrl: `${receiver.url}/elsewhere` });
  const narrowed = subscription("narrowed", { channel: `${PREFIX}.narrowed.less` });
  await write({
    ...basis,
    subscriptions: [sub, subscription("kept"), moved, narrowed, subscription("added")],
  });
  expect((await reload()).toSorted()).toEqual([
    "Subscription added started",
    "Subscription moved changed without interruption",
    "Subscription narrowed changed and restarted",
    "Subscription removed stopped",
  ]);
  await eventually(() => isInState(relay, "added", "running"));
  await eventually(() => isInState(relay, "narrowed", "running"));
  const consuming = (id: string) =>
    relay.logs.filter(({ message, subscription: own }) => message === "Consuming" && own === id).length;
  expect(["sub", "kept", "moved", "narrowed", "removed", "added"].map(consuming)).toEqual([1, 1, 1, 2, 1, 1]);
  const { items } = (await api("GET", "/api/subscriptions")).body;
  expect(items.map(({ id }: { id: string }) => id)).toEqual(["added", "kept", "moved", "narrowed", "sub"]);
  const metrics = await (await fetch(`${await relay.url()}/metrics`)).text();
  expect(metrics).not.toContain('"removed"');
  expect(metrics).toContain('"kept"');
  for (const [token, path] of [
    ["kept", "/kept"],
    ["moved", "/elsewhere"],
    ["narrowed.less", "/narrowed"],
    ["added", "/added"],
  ] as const) {
    await publish("two", { token });
    await eventually(() => receiver.names(path).includes("two"));
  }
});

const WORK_MS = 5;

/** Holds each request until it is let go, but for the first of `retried`, which fails. Open, it works on each for a moment. */
async function startHolding(retried: string) {
  const receiver = await startReceiver();
  const held: (() => void)[] = [];
  let isOpen = false;
  let inFlight = 0;
  let most = 0;
  const namesOf = () => receiver.requests.map(({ body }) => JSON.parse(body.toString()).name as string);

  function letGo(count: number): void {
    const chosen = held.splice(0, count);
    inFlight -= chosen.length;
    for (const resolve of chosen) resolve();
  }

  receiver.respond(async () => {
    const names = namesOf();
    if (names.at(-1) === retried && names.indexOf(retried) === names.length - 1) return 500;
    inFlight += 1;
    most = Math.max(most, inFlight);
    if (!isOpen) return new Promise((resolve) => held.push(() => resolve(200)));
    await Bun.sleep(WORK_MS);
    inFlight -= 1;
    return 200;
  });
  return {
    url: receiver.url.href,
    namesOf,
    held,
    letGo,
    open() {
      isOpen = true;
      most = inFlight;
      letGo(held.length);
    },
    close: () => (isOpen = false),
    /** In flight at once, since it was opened last. */
    most: () => most,
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}

test.each(["AUTO", "NONE"] as const)(
  "%s: a connection limit of 2 becomes 6, then 1: what is in flight and what waits for a retry stays, each comes once",
  async (qos) => {
    await using receiver = await startHolding("retried");
    await using setup = await setUp();
    const { relay, toConfig, write, reload, publish } = setup;
    const limitTo = async (maxConcurrentConnections: number) => {
      const basis = toConfig("a");
      const [entrypoint] = basis["entrypoints"] as Json[];
      const [sub] = basis["subscriptions"] as { configuration: Json }[];
      const retry = { retryOption: "Retry On Fail", retryStrategy: "LINEAR", maxDelaySeconds: 1 };
      const configuration = { http: { maxConcurrentConnections }, retry };
      const callback = { ...sub?.configuration, callbackUrl: receiver.url };
      await write({
        ...basis,
        entrypoints: [{ ...entrypoint, qos, configuration }],
        subscriptions: [{ ...sub, configuration: callback }],
      });
      return reload();
    };
    await limitTo(2);
    await eventually(() => isInState(relay, "sub", "running"));
    const consuming = () => relay.logs.filter(({ message }) => message === "Consuming").length;
    const consumed = consuming();
    const names = ["retried", ...Array.from({ length: 99 }, (_, index) => `m${index}`)];
    for (const name of names) await publish(name);
    await eventually(() => receiver.namesOf().includes("retried") && receiver.held.length > 0);

    expect(await limitTo(6)).toEqual(["Subscription sub changed without interruption"]);
    await eventually(() => receiver.held.length === 6);
    receiver.open();
    await eventually(() => receiver.namesOf().length > 50);
    receiver.close();
    await eventually(() => receiver.held.length === 6);
    expect(receiver.most()).toBe(6);

    expect(await limitTo(1)).toEqual(["Subscription sub changed without interruption"]);
    receiver.letGo(5);
    receiver.open();
    await eventually(() => receiver.namesOf().length === names.length + 1);
    expect(receiver.most()).toBe(1);
    expect(receiver.namesOf().toSorted()).toEqual([...names, "retried"].toSorted());
    expect(consuming()).toBe(consumed);
  },
  120_000,
);

test("a removed subscription that comes back goes on where it was", async () => {
  await using setup = await setUp([subscription("leaving")]);
  const { relay, toConfig, write, reload, publish } = setup;
  await publish("before", { token: "leaving" });
  await eventually(() => receiver.names("/leaving").length === 1);
  const basis = toConfig("a");
  await write({ ...basis, subscriptions: (basis["subscriptions"] as Json[]).slice(0, 1) });
  expect(await reload()).toEqual(["Subscription leaving stopped"]);
  await publish("meanwhile", { token: "leaving" });
  await write(basis);
  expect(await reload()).toEqual(["Subscription leaving started"]);
  await eventually(() => receiver.names("/leaving").length === 2);
  expect(receiver.names("/leaving")).toEqual(["before", "meanwhile"]);
  expect(await isInState(relay, "leaving", "running")).toBe(true);
});

test("an interrupted subscription is resumed by a change of its own configuration, and by nothing else", async () => {
  await using setup = await setUp();
  const { relay, prefix, toConfig, write, reload, publish } = setup;
  await publish("cause", { answers: [500, 200] });
  await eventually(() => isInState(relay, "sub", "failed"));
  await write(toConfig("a", { shutdown: { graceSeconds: 7 } }));
  expect(await reload()).toEqual(["Settings changed: shutdown"]);
  expect(await isInState(relay, "sub", "failed")).toBe(true);
  const basis = toConfig("a");
  const [sub] = basis["subscriptions"] as { configuration: Json }[];
  const configuration = { ...sub?.configuration, headers: [{ name: "X-Version", value: "2" }] };
  await write({ ...basis, subscriptions: [{ ...sub, configuration }] });
  await reload();
  await eventually(() => isInState(relay, "sub", "running"));
  await eventually(() => receiver.names(`/${prefix}/a`).length === 2);
  const resumed = relay.logs.filter(({ message }) => message === "Subscription resumed");
  expect(resumed).toMatchObject([{ subscription: "sub", by: "configuration" }]);
  expect(receiver.names(`/${prefix}/a`)).toEqual(["cause", "cause"]);
});

test("level and format of the log change from the next line on", async () => {
  await using setup = await setUp();
  const { relay, api, toConfig, write, reload } = setup;
  await write(toConfig("a", { logs: { level: "error" } }));
  expect(await reload()).toEqual(["Settings changed: logs"]);
  const before = relay.logs.length;
  await api("POST", "/api/subscriptions/sub/pause");
  await write(toConfig("a", { logs: { level: "info", format: "text" } }));
  await reload();
  await eventually(() => relay.output.some((line) => line.includes("INFO  Config reloaded")));
  expect(relay.logs.length).toBe(before);
});

test("SIGTERM while a reload drains: what is in flight ends, nothing is started any more, exit 0", async () => {
  await using slow = await startScriptedReceiver({ delayMs: 800 });
  const config = { callbackUrl: `${slow.url}/slow` };
  await using setup = await setUp([subscription("slow", config)]);
  const { relay, api, toConfig, write, publish } = setup;
  await eventually(() => isInState(relay, "slow", "running"));
  await publish("one", { token: "slow" });
  await eventually(() => slow.inFlight === 1);
  const basis = toConfig("a");
  const [sub] = basis["subscriptions"] as Json[];
  await write({
    ...basis,
    subscriptions: [sub, subscription("slow", { ...config, channel: `${PREFIX}.slow.>` })],
  });
  const loadedAt = async (): Promise<unknown> => (await api("GET", "/api/status")).body.config.loadedAt;
  const before = await loadedAt();
  relay.signal("SIGHUP");
  await eventually(async () => (await loadedAt()) !== before);
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(0);
  expect(slow.names("/slow")).toEqual(["one"]);
  const consuming = relay.logs.filter(
    ({ message, subscription: id }) => message === "Consuming" && id === "slow",
  );
  expect(consuming).toHaveLength(1);
  expect(relay.logs.at(-1)?.message).toBe("Relay stopped");
});

test("dead-letter endpoints that no subscription has any more are not asked for", async () => {
  await using setup = await setUp();
  const whole = setup.toConfig("a");
  const stream = `MISSING-${setup.prefix}`;
  const letters = { name: "letters", type: "jetstream", producer: { stream, subject: stream } };
  const [entrypoint] = whole["entrypoints"] as Json[];
  await setup.write({
    ...whole,
    endpoints: [...(whole["endpoints"] as Json[]), letters],
    entrypoints: [{ ...entrypoint, dlq: { endpoint: "letters" } }],
  });
  await setup.reload();
  const reasons = async () => (await readReadiness(setup.relay)).reasons;
  await eventually(async () => (await reasons()).includes(`Dead-letter stream ${stream}: not found`));
  await setup.write(whole);
  await setup.reload();
  await eventually(async () => (await reasons()).length === 0);
  expect((await readReadiness(setup.relay)).status).toBe(200);
});

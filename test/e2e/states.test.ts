// States of subscriptions, with two relays on one cluster: commanded at either, followed by both, told once, and costing no message.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Api, openApi } from "../support/api.ts";
import { type ConfigOptions, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { isInState, readMetric, runsOrStandsBy } from "../support/metrics.ts";
import { addStream } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { type RelayProcess, startRelay, temporaryDirectory } from "../support/relay.ts";
import { type Answer, type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";

type Qos = NonNullable<ConfigOptions["qos"]>;
type Json = Readonly<Record<string, unknown>>;

const EVERY_QOS = ["AUTO", "NONE", "AT_LEAST_ONCE", "AT_MOST_ONCE"] as const;
/** A change of state is everywhere within a second; ten, on a busy machine. */
const FOLLOWED_MS = 10_000;

interface Event {
  readonly specversion: string;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly data: { readonly reason: string; readonly status: string; readonly consumerStatus: string } & Json;
}

interface Host {
  readonly relay: RelayProcess;
  readonly api: Api;
}

interface Setup extends AsyncDisposable {
  readonly hosts: readonly Host[];
  readonly events: readonly Event[];
  readonly stream: string;
  readonly publish: (name: string, answers?: readonly Answer[]) => Promise<number>;
  readonly names: () => readonly string[];
  /** To one of the relays after the other. */
  readonly command: (name: string, body?: unknown) => Promise<Json>;
  /** Every relay shows that, in time. */
  readonly areAll: (wanted: Json) => Promise<void>;
}

interface Options {
  readonly qos?: Qos;
  /** How many; default 2. */
  readonly relays?: number;
  readonly server?: NatsServer;
  readonly entrypoint?: Json;
  readonly subscription?: Json;
  readonly delayMs?: number;
  /** What the callback waits for before it answers a message that it has had before. */
  readonly secondAnswer?: Promise<void>;
}

let stack: AsyncDisposableStack;
let nats: NatsServer;
let streams = 0;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
});
afterAll(() => stack.disposeAsync());

async function setUp(options: Options = {}): Promise<Setup> {
  const {
    qos = "AT_LEAST_ONCE",
    relays = 2,
    server = nats,
    entrypoint = {},
    subscription = {},
    delayMs = 0,
    secondAnswer,
  } = options;
  await using owned = new AsyncDisposableStack();
  const receiver: ScriptedReceiver = owned.use(await startScriptedReceiver({ delayMs, secondAnswer }));
  streams += 1;
  const stream = `STATES_${streams}`;
  const subject = `states-${streams}`;
  const client = await server.connect();
  await addStream(client, { name: stream, subjects: [subject] });
  const base = testConfig({
    natsUrl: server.url,
    callbackUrl: `${receiver.url}/sub`,
    qos,
    entrypoint,
    consumer: { stream },
    more: { state: { bucket: stream } },
  });
  const [sub] = base["subscriptions"] as Json[];
  const config = { ...base, subscriptions: [{ ...sub, ...subscription }] };
  const events: Event[] = [];
  const watching = client.subscribe("relay.events.subscription.sub", {
    callback: (_error, message) => void events.push(message.json()),
  });
  owned.defer(() => watching.unsubscribe());
  const start = async (): Promise<Host> => {
    const relay = owned.use(await startRelay({ config }));
    return { relay, api: await openApi(await relay.url()) };
  };
  const hosts = await Promise.all(Array.from({ length: relays }, start));
  const js = jetstream(client);
  let commands = 0;
  const moved = owned.move();
  return {
    hosts,
    events,
    stream,
    publish: async (name, answers = [200]) =>
      (await js.publish(subject, JSON.stringify({ name, answers }))).seq,
    names: () => receiver.names("/sub"),
    async command(name, body) {
      const host = hosts[commands % hosts.length];
      commands += 1;
      if (host === undefined) throw new Error("There is no relay");
      const { status, body: answer } = await host.api("POST", `/api/subscriptions/sub/${name}`, { body });
      if (status !== 200) throw new Error(`${status}: ${answer.detail}`);
      return answer;
    },
    async areAll(wanted) {
      await eventually(
        async () => {
          expect(await Promise.all(hosts.map(show))).toMatchObject(hosts.map(() => wanted));
          return true;
        },
        { withinMs: FOLLOWED_MS, what: JSON.stringify(wanted) },
      );
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

function range(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => String(from + index));
}

/** As it came where order is promised across relays; else sorted. */
function inOrder(names: readonly string[], qos: Qos): readonly string[] {
  return qos === "AT_LEAST_ONCE" ? names : names.toSorted((a, b) => Number(a) - Number(b));
}

/** Of two relays one is active under AT_LEAST_ONCE: the other one runs as well, though it stands by. */
async function show({ api }: Host): Promise<Json> {
  const body = (await api("GET", "/api/subscriptions/sub")).body as Json;
  return runsOrStandsBy(body) ? { ...body, state: "running" } : body;
}

async function areConsuming({ hosts }: Setup): Promise<void> {
  for (const host of hosts) await eventually(async () => (await show(host))["state"] === "running");
}

test("each command is followed by both relays, logged once, counted once, and published once", async () => {
  await using setup = await setUp();
  const { hosts, events, command, areAll } = setup;
  await areConsuming(setup);
  const steps = [
    ["pause", { status: "PAUSED", consumerStatus: "STARTED", state: "paused" }, "Subscription paused"],
    ["resume", { status: "ACCEPTED", consumerStatus: "STARTED", state: "running" }, "Subscription resumed"],
    [
      "stop",
      { status: "ACCEPTED", consumerStatus: "STOPPED", state: "stopped" },
      "Subscription stopped by its consumer",
    ],
    [
      "start",
      { status: "ACCEPTED", consumerStatus: "STARTED", state: "running" },
      "Subscription started by its consumer",
    ],
  ] as const;
  for (const [name, wanted] of steps) {
    await command(name);
    await areAll(wanted);
    // Once more changes nothing, and is no change.
    await command(name);
  }
  const lines = hosts.flatMap(({ relay }) => relay.logs.filter(({ by }) => by !== undefined));
  for (const [name, , message] of steps) {
    expect(lines.filter((line) => line["by"] === name)).toMatchObject([{ message, subscription: "sub" }]);
    const counts = hosts.map(({ relay }) => readMetric(relay, "relay_state_changes_total", { reason: name }));
    expect(new Set(await Promise.all(counts))).toEqual(new Set([0, 1]));
  }
  await eventually(() => events.length >= steps.length);
  expect(events).toMatchObject(
    steps.map(([reason, { status, consumerStatus }]) => ({
      specversion: "1.0",
      type: "relay.subscription.changed",
      subject: "sub",
      datacontenttype: "application/json",
      data: { subscription: "sub", reason, status, consumerStatus, failureCause: null },
    })),
  );
  expect(new Set(events.map(({ id }) => id)).size).toBe(steps.length);
});

test.each([...EVERY_QOS.map((qos) => [qos, 1] as const), ["AT_LEAST_ONCE", 2] as const])(
  "%s, relays: %d: pausing and resuming again and again, at either relay, loses nothing",
  async (qos, relays) => {
    await using setup = await setUp({ qos, relays, delayMs: 1 });
    const { publish, names, command, areAll } = setup;
    await areConsuming(setup);
    const count = 120;
    const publishing = (async () => {
      for (const name of range(1, count)) await publish(name);
    })();
    for (let cycle = 0; cycle < 2; cycle += 1) {
      const enough = names().length + 10;
      await eventually(() => names().length >= Math.min(enough, count));
      await command(cycle % 2 === 0 ? "pause" : "stop");
      await areAll({ state: cycle % 2 === 0 ? "paused" : "stopped" });
      await command(cycle % 2 === 0 ? "resume" : "start");
    }
    await publishing;
    await eventually(() => new Set(names()).size === count);
    // What one of two relays gives back, nats-server 2.9 may give to the other twice, after the ack wait.
    const seen = relays === 1 ? names() : [...new Set(names())];
    expect(inOrder(seen, qos)).toEqual(range(1, count));
  },
  120_000,
);

test.each(EVERY_QOS)(
  "%s: a failure is told once; resume --skip at either relay sends the cause no more, and all that follows",
  async (qos) => {
    await using setup = await setUp({ qos });
    const { hosts, events, publish, names, command, areAll } = setup;
    await areConsuming(setup);
    await publish("0", [500]);
    await eventually(() => names().length > 0);
    await areAll({ status: "ACCEPTED", consumerStatus: "FAILURE", state: "failed" });
    // Neither has a message in its hands any more.
    await areAll({ consumerStatus: "FAILURE", held: 0 });
    const sent = names().length;
    // Under AUTO the other relay may have had the cause in its hands already.
    expect(sent).toBeLessThanOrEqual(qos === "AUTO" ? 2 : 1);
    for (const name of range(1, 5)) await publish(name);
    const told = () => events.filter(({ data }) => data.reason === "failure");
    const logged = () =>
      hosts.flatMap(({ relay }) =>
        relay.logs.filter(({ message }) => message === "Subscription interrupted"),
      );
    await eventually(() => told().length >= sent && logged().length >= sent);
    expect([told().length, logged().length]).toEqual([sent, sent]);
    expect(told()[0]?.data["failureCause"]).toStartWith("Message 1 of STATES_");
    await command("resume", { skip: true });
    await areAll({ consumerStatus: "STARTED", state: "running" });
    // What one of two relays gives back, nats-server 2.9 may give to the other twice.
    const following = () => [...new Set(names().slice(sent))];
    await eventually(() => following().length >= 5);
    expect(inOrder(following(), qos)).toEqual(range(1, 5));
    if (qos === "NONE") return;
    const manager = await jetstreamManager(await nats.connect());
    await eventually(
      async () => (await manager.consumers.info(setup.stream, "relay-sub")).num_ack_pending === 0,
    );
  },
);

/** nats-server 2.9 may give what one of two relays gives back to a pull of the other that is over: it comes after the ack wait. */
const AFTER_ACK_WAITS = { withinMs: 15_000 };

test.concurrent.each(EVERY_QOS)(
  "%s: after a seek at either relay both go on there, whether it consumes, pauses or failed",
  async (qos) => {
    await using setup = await setUp({ qos });
    const { publish, names, command, areAll } = setup;
    await areConsuming(setup);
    const sequences: number[] = [];
    for (const name of range(1, 6)) sequences.push(await publish(name));
    await eventually(() => names().length === 6);
    await command("seek", { sequence: sequences[3] });
    await eventually(() => names().length >= 9, AFTER_ACK_WAITS);
    expect(inOrder(names().slice(6, 9), qos)).toEqual(range(4, 6));

    await command("pause");
    await areAll({ state: "paused" });
    await command("seek", { sequence: sequences[4] });
    await areAll({ status: "PAUSED", state: "paused" });
    const paused = names().length;
    await command("resume");
    await eventually(() => names().length >= paused + 2, AFTER_ACK_WAITS);
    expect(inOrder(names().slice(paused), qos)).toEqual(range(5, 6));

    await publish("7", [500, 200]);
    await areFailed(setup);
    const sent = names().length;
    await command("seek", { sequence: sequences[5] });
    await areAll({ consumerStatus: "FAILURE", state: "failed" });
    await command("resume");
    await eventually(() => names().length >= sent + 2, AFTER_ACK_WAITS);
    expect(inOrder(names().slice(sent), qos)).toEqual(range(6, 7));
    await areConsuming(setup);
  },
  120_000,
);

async function areFailed({ hosts }: Setup): Promise<void> {
  for (const { relay } of hosts) await eventually(() => isInState(relay, "sub", "failed"));
}

test.concurrent("without NATS a command is applied here at once, and reaches the others when NATS is back", async () => {
  await using own = await startNatsServer();
  await using setup = await setUp({ server: own });
  const { hosts, publish, names, areAll } = setup;
  const [first, second] = hosts;
  if (first === undefined || second === undefined) throw new Error("There are no two relays");
  await areConsuming(setup);
  await own.kill();
  await eventually(async () => (await readMetric(first.relay, "relay_nats_connected")) === 0);
  const { status, body } = await first.api("POST", "/api/subscriptions/sub/pause");
  expect([status, body.status]).toEqual([202, "PAUSED"]);
  await eventually(() => isInState(first.relay, "sub", "paused"));
  expect((await second.api("GET", "/api/subscriptions/sub")).body.status).toBe("ACCEPTED");
  await own.restart();
  await eventually(() => isInState(second.relay, "sub", "paused"));
  await publish("1");
  await areAll({ status: "PAUSED", state: "paused" });
  expect(names()).toEqual([]);
  await second.api("POST", "/api/subscriptions/sub/resume");
  await eventually(() => names().length === 1);
}, 120_000);

const PROBING = { resume: { strategy: "AUTO", initialDelaySeconds: 1, maxDelaySeconds: 1 } };

test.concurrent("a pause while a probe is under way: the probe ends, its delivery ends the failure, nothing else is sent until it is resumed", async () => {
  const probe = Promise.withResolvers<void>();
  await using setup = await setUp({ relays: 1, entrypoint: PROBING, secondAnswer: probe.promise });
  const { hosts, publish, names, command, areAll } = setup;
  await areConsuming(setup);
  await publish("1", [500, 200]);
  await publish("2");
  await eventually(() => names().length === 2);
  await areAll({ consumerStatus: "FAILURE", state: "failed" });
  await command("pause");
  probe.resolve();
  for (const { relay } of hosts) await eventually(() => isInState(relay, "sub", "paused"));
  await eventually(async () => {
    await areAll({ status: "PAUSED", consumerStatus: "STARTED", state: "paused" });
    return true;
  });
  expect(names()).toEqual(["1", "1"]);
  await command("resume");
  await eventually(() => names().length === 3);
  expect(names()).toEqual(["1", "1", "2"]);
}, 120_000);

test.concurrent("a stop while a probe is under way that fails: it stays STOPPED, and a start sends the cause first", async () => {
  const probe = Promise.withResolvers<void>();
  await using setup = await setUp({ relays: 1, entrypoint: PROBING, secondAnswer: probe.promise });
  const { publish, names, command, areAll } = setup;
  await areConsuming(setup);
  await publish("1", [500, 500, 200]);
  await publish("2");
  await eventually(() => names().length === 2);
  await command("stop");
  probe.resolve();
  await areAll({ status: "ACCEPTED", consumerStatus: "STOPPED", state: "stopped" });
  await command("start");
  await eventually(() => names().length === 4);
  expect(names()).toEqual(["1", "1", "1", "2"]);
  await areAll({ consumerStatus: "STARTED", state: "running" });
}, 120_000);

/** Of two relays, on this machine as busy as it is now. */
async function measureStart(): Promise<number> {
  const begunAt = performance.now();
  await using setup = await setUp();
  await areConsuming(setup);
  return performance.now() - begunAt;
}

test("startingAt and endingAt: what came before waits for the start, what comes after the end stays, CLOSED is told once", async () => {
  // Both relays are there before the first, and what waits is sent before the second.
  const startMs = await measureStart();
  const startingAt = new Date(Date.now() + 2 * startMs + 2000);
  const endingAt = new Date(startingAt.getTime() + 2 * startMs + 2000);
  const times = { startingAt: startingAt.toISOString(), endingAt: endingAt.toISOString() };
  await using setup = await setUp({ subscription: times });
  const { hosts, events, publish, names } = setup;
  await publish("early");
  const isEarly = () => Date.now() < startingAt.getTime();
  for (const { relay } of hosts) {
    const isScheduled = async () => (await isInState(relay, "sub", "scheduled")) || !isEarly();
    await eventually(isScheduled);
  }
  const sent = names();
  // A busy machine may take too long for a look before the start.
  if (isEarly()) expect(sent).toEqual([]);
  await eventually(() => names().length === 1);
  expect(Date.now()).toBeGreaterThanOrEqual(startingAt.getTime());
  for (const { relay } of hosts) await eventually(() => isInState(relay, "sub", "closed"));
  expect(Date.now()).toBeGreaterThanOrEqual(endingAt.getTime());
  await publish("late");
  await eventually(() => events.length > 0);
  expect((await hosts[0]?.api("GET", "/api/subscriptions/sub"))?.body).toMatchObject({ status: "CLOSED" });
  expect(events).toMatchObject([{ data: { reason: "end", status: "CLOSED" } }]);
  const logged = hosts.flatMap(({ relay }) =>
    relay.logs.filter(({ message }) => message === "Subscription closed"),
  );
  expect(logged).toHaveLength(1);
  expect(names()).toEqual(["early"]);
}, 120_000);

interface Restarts extends AsyncDisposable {
  readonly receiver: ScriptedReceiver;
  readonly publish: (id: string, answers?: readonly Answer[]) => Promise<unknown>;
  /** One relay after the other in one directory; `statuses` of the subscriptions by their ids. */
  readonly run: (statuses: Readonly<Record<string, string | null>>) => Promise<Host>;
}

async function setUpRestarts(): Promise<Restarts> {
  await using owned = new AsyncDisposableStack();
  const receiver = owned.use(await startScriptedReceiver());
  const directory = owned.use(await temporaryDirectory()).path;
  streams += 1;
  const stream = `STATES_${streams}`;
  const subject = `states-${streams}`;
  const client = await nats.connect();
  await addStream(client, { name: stream, subjects: [`${subject}.>`] });
  const js = jetstream(client);
  const base = testConfig({ natsUrl: nats.url, callbackUrl: "", qos: "AT_LEAST_ONCE", consumer: { stream } });
  const moved = owned.move();
  return {
    receiver,
    publish: (id, answers = [200]) => js.publish(`${subject}.${id}`, JSON.stringify({ name: id, answers })),
    async run(statuses) {
      const subscriptions = Object.entries(statuses).map(([id, status]) => ({
        id,
        status: status ?? undefined,
        configuration: {
          entrypointId: "webhook",
          channel: `${subject}.${id}`,
          callbackUrl: `${receiver.url}/${id}`,
          deliverPolicy: "all",
        },
      }));
      const config = { ...base, state: { bucket: stream }, subscriptions };
      const relay = moved.use(await startRelay({ config, directory }));
      return { relay, api: await openApi(await relay.url()) };
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

async function end({ relay }: Host): Promise<void> {
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(0);
}

test("a restart clears FAILURE, and neither PAUSED nor STOPPED", async () => {
  await using setup = await setUpRestarts();
  const { receiver, publish, run } = setup;
  const ids = { failed: null, paused: null, stopped: null };
  const first = await run(ids);
  await publish("failed", [500, 200]);
  await eventually(() => isInState(first.relay, "failed", "failed"));
  await first.api("POST", "/api/subscriptions/paused/pause");
  await first.api("POST", "/api/subscriptions/stopped/stop");
  await end(first);
  await publish("paused");
  await publish("stopped");
  const second = await run(ids);
  await eventually(() => receiver.names("/failed").length === 2);
  await eventually(() => isInState(second.relay, "failed", "running"));
  for (const id of ["paused", "stopped"]) {
    await eventually(() => isInState(second.relay, id, id));
    expect(receiver.names(`/${id}`)).toEqual([]);
  }
  expect(second.relay.logs.filter(({ by }) => by === "restart")).toMatchObject([{ subscription: "failed" }]);
  await second.api("POST", "/api/subscriptions/paused/resume");
  await second.api("POST", "/api/subscriptions/stopped/start");
  for (const id of ["paused", "stopped"]) await eventually(() => receiver.names(`/${id}`).length === 1);
});

test("a status in the file holds until a command, through restarts, and again when its value there changes", async () => {
  await using setup = await setUpRestarts();
  const { run } = setup;
  const steps = [
    { file: "PAUSED", state: "paused", command: "resume", after: "running" },
    { file: "PAUSED", state: "running", command: null, after: "running" },
    { file: "ACCEPTED", state: "running", command: null, after: "running" },
    { file: "PAUSED", state: "paused", command: null, after: "paused" },
    { file: null, state: "running", command: "pause", after: "paused" },
    { file: "ACCEPTED", state: "paused", command: null, after: "paused" },
  ] as const;
  for (const [index, { file, state, command, after }] of steps.entries()) {
    const host = await run({ sub: file });
    await eventually(() => isInState(host.relay, "sub", state), { what: `step ${index}: ${state}` });
    if (command !== null) await host.api("POST", `/api/subscriptions/sub/${command}`);
    await eventually(() => isInState(host.relay, "sub", after), { what: `step ${index}: ${after}` });
    await end(host);
  }
}, 120_000);

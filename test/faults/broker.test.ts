// What the broker does to a running relay: consumers and streams that go, servers that die, a second relay on the same work.

import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { testConfig, type ConfigOptions } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { readMetric } from "../support/metrics.ts";
import { addStream, removeConsumer } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";
import { type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";

type Qos = NonNullable<ConfigOptions["qos"]>;

const ACK_WAIT_MS = 5000;

interface Setup extends AsyncDisposable {
  readonly nats: NatsServer;
  readonly js: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly receiver: ScriptedReceiver;
  /** A relay that posts to that path. */
  start: (
    qos: Qos,
    options?: { path?: string; entrypoint?: ConfigOptions["entrypoint"] },
  ) => Promise<RelayProcess>;
  publish: (names: readonly (string | number)[], answers?: readonly (number | string)[]) => Promise<void>;
  isThrough: () => Promise<boolean>;
}

async function setUp({ delayMs = 0 } = {}): Promise<Setup> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const receiver = stack.use(await startScriptedReceiver({ delayMs }));
  const client = await nats.connect();
  const js = jetstream(client);
  const manager = await jetstreamManager(client);
  await addStream(client);
  const owned = stack.move();
  return {
    nats,
    js,
    manager,
    receiver,
    start: (qos, { path = "/sub", entrypoint = {} } = {}) =>
      startRelay({
        config: testConfig({ natsUrl: nats.url, callbackUrl: `${receiver.url}${path}`, qos, entrypoint }),
      }),
    async publish(names, answers = [200]) {
      for (const name of names) await js.publish("orders.x", JSON.stringify({ name: String(name), answers }));
    },
    async isThrough() {
      const { num_ack_pending, num_pending } = await manager.consumers.info("ORDERS", "relay-sub");
      return num_ack_pending === 0 && num_pending === 0;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

test.each([["AUTO"], ["AT_LEAST_ONCE"], ["AT_MOST_ONCE"], ["NONE"]] as const)(
  "%s: a consumer that is deleted is made again where it was: nothing is repeated, nothing skipped",
  async (qos) => {
    await using setup = await setUp({ delayMs: 10 });
    const { receiver, manager, publish } = setup;
    await using relay = await setup.start(qos, { entrypoint: { http: { maxConcurrentConnections: 3 } } });
    await relay.logged("Consuming");
    await publish(range(1, 60));
    await eventually(() => receiver.names("/sub").length >= 20);
    await removeConsumer(manager, { stream: "ORDERS", durable: "relay-sub" });
    await eventually(() => manager.consumers.info("ORDERS", "relay-sub"));
    await publish(range(61, 70));
    await eventually(() => new Set(receiver.names("/sub")).size === 70, { withinMs: 15_000 });
    await eventually(() => setup.isThrough());
    const numbers = receiver.names("/sub").map(Number);
    if (qos === "AT_LEAST_ONCE" || qos === "AT_MOST_ONCE") expect(numbers).toEqual(range(1, 70));
    else expect(numbers.toSorted((a, b) => a - b)).toEqual(range(1, 70));
    const made = relay.logs.filter(({ message }) => message === "Consuming");
    expect(made.map(({ change }) => change)).toEqual(["created", "recreated"]);
  },
  120_000,
);

test.each([["AUTO"], ["AT_LEAST_ONCE"], ["AT_MOST_ONCE"], ["NONE"]] as const)(
  "%s: a stream that is deleted and made anew is consumed from its start, under the same sequences",
  async (qos) => {
    await using setup = await setUp();
    const { receiver, manager, nats, publish } = setup;
    await using relay = await setup.start(qos);
    await relay.logged("Consuming");
    await publish(["old-1", "old-2", "old-3"]);
    await eventually(() => receiver.requests.length === 3);
    await manager.streams.delete("ORDERS");
    await relay.logged("Subscription waits");
    await addStream(await nats.connect());
    await publish(["new-1", "new-2", "new-3", "new-4"]);
    await eventually(() => receiver.requests.length >= 7, { withinMs: 15_000 });
    await eventually(() => setup.isThrough());
    const names = receiver.names("/sub").toSorted();
    expect(names).toEqual(["new-1", "new-2", "new-3", "new-4", "old-1", "old-2", "old-3"]);
  },
  120_000,
);

// An answer found its message by the sequence alone: the new message was acknowledged for the old one, and never sent.
test.each([["AUTO"], ["AT_LEAST_ONCE"], ["AT_MOST_ONCE"], ["NONE"]] as const)(
  "%s: a request in flight while its stream is made anew says nothing about the new message of that sequence",
  async (qos) => {
    await using setup = await setUp({ delayMs: 3000 });
    const { receiver, manager, nats, publish } = setup;
    await using relay = await setup.start(qos);
    await relay.logged("Consuming");
    await publish(["old"]);
    await eventually(() => receiver.inFlight === 1);
    await manager.streams.delete("ORDERS");
    await addStream(await nats.connect());
    await publish(["new"]);
    await eventually(() => receiver.names("/sub").includes("new"), { withinMs: 15_000 });
    await eventually(() => setup.isThrough(), { withinMs: 15_000 });
    expect(receiver.names("/sub")).toEqual(["old", "new"]);
  },
  120_000,
);

test.each([["AUTO"], ["AT_LEAST_ONCE"]] as const)(
  "%s: without NATS for longer than the ack wait a slow request is aborted, nothing is sent, and all of it follows",
  async (qos) => {
    await using setup = await setUp();
    const { nats, receiver, publish } = setup;
    const http = { readTimeout: 60_000, maxConcurrentConnections: 1 };
    await using relay = await setup.start(qos, { entrypoint: { http } });
    await relay.logged("Consuming");
    await publish(["slow"], ["hang", 200]);
    await publish(["a", "b", "c"]);
    await eventually(() => receiver.inFlight === 1);
    await nats.kill();
    const killedAt = performance.now();
    await eventually(() => receiver.inFlight === 0, { what: "the slow request is aborted" });
    expect(performance.now() - killedAt).toBeLessThan(ACK_WAIT_MS);
    await eventually(() => performance.now() - killedAt > ACK_WAIT_MS + 1000);
    expect(receiver.names("/sub")).toEqual(["slow"]);
    await nats.restart();
    await eventually(() => receiver.requests.length >= 5, { withinMs: 15_000 });
    await eventually(() => setup.isThrough());
    const names = receiver.names("/sub");
    if (qos === "AT_LEAST_ONCE") expect(names).toEqual(["slow", "slow", "a", "b", "c"]);
    else expect(names.toSorted()).toEqual(["a", "b", "c", "slow", "slow"]);
    // An attempt that the relay gave up itself is none of the callback's.
    expect(await readMetric(relay, "relay_attempts_total", { outcome: "exception" })).toBe(0);
    expect(await readMetric(relay, "relay_state_changes_total", { reason: "failure" })).toBe(0);
  },
  120_000,
);

test("a short absence of NATS costs nothing: the slow request ends, and its message is not sent again", async () => {
  await using setup = await setUp({ delayMs: 2000 });
  const { nats, receiver, publish } = setup;
  await using relay = await setup.start("AT_LEAST_ONCE");
  await relay.logged("Consuming");
  await publish(["slow", "next"]);
  await eventually(() => receiver.inFlight === 1);
  await nats.kill();
  await nats.restart();
  await eventually(() => receiver.names("/sub").includes("next"));
  await eventually(() => setup.isThrough());
  expect(receiver.names("/sub")).toEqual(["slow", "next"]);
});

test("AUTO: two relays share the work of one subscription, each message goes to one of them", async () => {
  await using setup = await setUp({ delayMs: 15 });
  const { receiver, publish } = setup;
  await using one = await setup.start("AUTO", { path: "/one" });
  await using two = await setup.start("AUTO", { path: "/two" });
  await Promise.all([one.logged("Consuming"), two.logged("Consuming")]);
  await publish(range(1, 300));
  await eventually(() => receiver.requests.length >= 300, { withinMs: 15_000 });
  await eventually(() => setup.isThrough());
  expect(receiver.requests.map(({ name }) => Number(name)).toSorted((a, b) => a - b)).toEqual(range(1, 300));
  expect(receiver.names("/one").length).toBeGreaterThan(30);
  expect(receiver.names("/two").length).toBeGreaterThan(30);
});

test("AT_LEAST_ONCE: two relays keep the order, also when the one at work is killed", async () => {
  await using setup = await setUp({ delayMs: 10 });
  const { receiver, publish } = setup;
  await using one = await setup.start("AT_LEAST_ONCE", { path: "/one" });
  await using two = await setup.start("AT_LEAST_ONCE", { path: "/two" });
  // The other one stands by.
  await Promise.any([one.logged("Consuming"), two.logged("Consuming")]);
  await publish(range(1, 60));
  await eventually(() => receiver.requests.length >= 20);
  const atWork = await eventually(() => receiver.inFlight === 1 && receiver.requests.at(-1)?.path);
  const victim = atWork === "/one" ? one : two;
  victim.signal("SIGKILL");
  await victim.exited;
  await eventually(() => receiver.requests.some(({ name }) => name === "60"), { withinMs: 20_000 });
  await eventually(() => setup.isThrough());
  const numbers = receiver.requests.map(({ name }) => Number(name));
  expect([...new Set(numbers)]).toEqual(range(1, 60));
  // Once, at the takeover: acks that were on their way when the relay was killed.
  expect(numbers.filter((n, index) => n < (numbers[index - 1] ?? 0)).length).toBeLessThanOrEqual(1);
  expect(numbers.length).toBeLessThanOrEqual(64);
}, 120_000);

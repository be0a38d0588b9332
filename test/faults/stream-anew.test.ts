// A stream that is younger than its subscription is read from its beginning, whatever the deliver policy says; one that is
// the same under another time of creation is not repeated.

import { jetstream, jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { type ConfigOptions, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { type RelayProcess, startRelay, temporaryDirectory } from "../support/relay.ts";
import { type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";

type Qos = NonNullable<ConfigOptions["qos"]>;

interface Setup extends AsyncDisposable {
  readonly nats: NatsServer;
  readonly receiver: ScriptedReceiver;
  /** Of a subscription with that deliver policy. */
  start: (qos: Qos, deliverPolicy: unknown) => Promise<RelayProcess>;
  makeStream: (config?: Partial<StreamConfig>) => Promise<void>;
  publish: (...names: readonly string[]) => Promise<void>;
}

async function setUp(): Promise<Setup> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const receiver = stack.use(await startScriptedReceiver());
  const { path: directory } = stack.use(await temporaryDirectory());
  const owned = stack.move();
  return {
    nats,
    receiver,
    start: (qos, deliverPolicy) =>
      startRelay({
        config: testConfig({
          natsUrl: nats.url,
          callbackUrl: `${receiver.url}/sub`,
          qos,
          subscription: { deliverPolicy },
        }),
        directory,
      }),
    async makeStream(config = {}) {
      const { streams } = await jetstreamManager(await nats.connect());
      await streams.add({ name: "ORDERS", subjects: ["orders.>"], ...config });
    },
    async publish(...names) {
      const js = jetstream(await nats.connect());
      for (const name of names) await js.publish("orders.x", JSON.stringify({ name }));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const POLICIES: readonly (readonly [Qos, unknown])[] = [
  ["AUTO", "new"],
  ["AT_LEAST_ONCE", "last"],
  ["AT_MOST_ONCE", "new"],
  ["NONE", "new"],
  ["AT_LEAST_ONCE", { startSequence: 1000 }],
  ["AUTO", { startTime: "2099-01-01T00:00:00Z" }],
];

test.each(POLICIES)(
  "%s, %j: a stream that is made while the subscription waits for it is read from its beginning",
  async (qos, deliverPolicy) => {
    await using setup = await setUp();
    await using relay = await setup.start(qos, deliverPolicy);
    await relay.logged("Subscription waits");
    await setup.makeStream();
    await setup.publish("1", "2", "3");
    await eventually(() => setup.receiver.requests.length >= 3);
    expect(setup.receiver.names("/sub").toSorted()).toEqual(["1", "2", "3"]);
  },
  120_000,
);

test("a stream that is made while the relay is stopped is read from its beginning, by one that waited for it before", async () => {
  await using setup = await setUp();
  {
    await using relay = await setup.start("AT_LEAST_ONCE", "new");
    await relay.logged("Subscription waits");
    relay.signal("SIGTERM");
    await relay.exited;
  }
  await setup.makeStream();
  await setup.publish("1", "2", "3");
  await using relay = await setup.start("AT_LEAST_ONCE", "new");
  await relay.logged("Consuming");
  await eventually(() => setup.receiver.requests.length >= 3);
  expect(setup.receiver.names("/sub")).toEqual(["1", "2", "3"]);
}, 120_000);

test.each(POLICIES)(
  "%s, %j: a memory stream that its server forgot and its publisher made anew is read from its beginning",
  async (qos, deliverPolicy) => {
    await using setup = await setUp();
    await setup.makeStream({ storage: "memory" });
    await setup.publish("before");
    await using relay = await setup.start(qos, deliverPolicy);
    await relay.logged("Consuming");
    await setup.publish("old-1", "old-2");
    if (deliverPolicy !== POLICIES[5]?.[1]) {
      await eventually(() => setup.receiver.names("/sub").includes("old-2"));
    }
    await setup.nats.terminate();
    await setup.nats.restart();
    await setup.makeStream({ storage: "memory" });
    await setup.publish("1", "2", "3", "4", "5");
    const news = () => setup.receiver.names("/sub").filter((name) => /^\d$/u.test(name));
    await eventually(() => news().length >= 5);
    expect(news().toSorted()).toEqual(["1", "2", "3", "4", "5"]);
  },
  120_000,
);

test.each([["AUTO"], ["AT_LEAST_ONCE"], ["AT_MOST_ONCE"], ["NONE"]] as const)(
  "%s: a stream that is deleted and made anew while the relay is stopped is read from its beginning",
  async (qos) => {
    await using setup = await setUp();
    await setup.makeStream();
    {
      await using relay = await setup.start(qos, "new");
      await relay.logged("Consuming");
      await setup.publish("old-1", "old-2");
      await eventually(() => setup.receiver.requests.length === 2);
      relay.signal("SIGTERM");
      await relay.exited;
    }
    const { streams } = await jetstreamManager(await setup.nats.connect());
    await streams.delete("ORDERS");
    await setup.makeStream();
    await setup.publish("1", "2", "3");
    await using relay = await setup.start(qos, "new");
    await relay.logged("Consuming");
    await eventually(() => setup.receiver.requests.length >= 5);
    expect(setup.receiver.names("/sub").toSorted()).toEqual(["1", "2", "3", "old-1", "old-2"]);
  },
  120_000,
);

test("a start sequence beyond the end of its stream starts with the next message, and says so", async () => {
  await using setup = await setUp();
  await setup.makeStream();
  await setup.publish("old");
  await using relay = await setup.start("AT_LEAST_ONCE", { startSequence: 1000 });
  await relay.logged("Stream ORDERS ends at 1, before start sequence 1000");
  await setup.publish("1", "2");
  await eventually(() => setup.receiver.requests.length >= 2);
  expect(setup.receiver.names("/sub")).toEqual(["1", "2"]);
});

test.each([
  ["AT_MOST_ONCE", "runs"],
  ["AT_MOST_ONCE", "is stopped"],
  ["AT_LEAST_ONCE", "runs"],
  ["AUTO", "is stopped"],
] as const)(
  "%s: a mirror that is deleted and made anew while the relay %s is the same stream: nothing is repeated",
  async (qos, relayState) => {
    await using setup = await setUp();
    const { streams } = await jetstreamManager(await setup.nats.connect());
    await streams.add({ name: "ORIGIN", subjects: ["orders.>"] });
    const mirror = { name: "ORDERS", subjects: [], mirror: { name: "ORIGIN" } };
    await streams.add(mirror);
    let relay = await setup.start(qos, "all");
    await relay.logged("Consuming");
    const names = Array.from({ length: 30 }, (_, index) => `old-${index}`);
    await setup.publish(...names);
    await eventually(() => setup.receiver.requests.length >= 30);
    if (relayState === "is stopped") {
      relay.signal("SIGTERM");
      await relay.exited;
    }
    await streams.delete("ORDERS");
    await streams.add(mirror);
    if (relayState === "is stopped") {
      await relay[Symbol.asyncDispose]();
      relay = await setup.start(qos, "all");
    }
    await setup.publish("new");
    await eventually(() => setup.receiver.names("/sub").includes("new"));
    expect(setup.receiver.names("/sub").toSorted()).toEqual([...names, "new"].toSorted());
    await relay[Symbol.asyncDispose]();
  },
  120_000,
);

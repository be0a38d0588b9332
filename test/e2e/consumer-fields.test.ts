// Fields of the durable consumer that somebody sets, before the relay starts and while it runs: put right, and no message is
// sent without its body.

import { headers, type NatsConnection } from "@nats-io/transport-node";
import { jetstream, jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { startRelay } from "../support/relay.ts";

const FIELDS = {
  headers_only: true,
  max_deliver: 2,
  inactive_threshold: 60_000_000_000,
  max_batch: 1,
  priority_groups: ["others"],
  priority_policy: "overflow",
};

async function setUp() {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const receiver = stack.use(await startReceiver());
  const client = await nats.connect();
  const manager = await jetstreamManager(client);
  await addStream(client);
  const owned = stack.move();
  return {
    client,
    manager,
    bodies: () => receiver.requests.map(({ body }) => body.toString()).sort(),
    start: (qos: "AUTO" | "AT_LEAST_ONCE" | "AT_MOST_ONCE") =>
      startRelay({ config: testConfig({ natsUrl: nats.url, callbackUrl: receiver.url.href, qos }) }),
    publish: (text: string) => jetstream(client).publish("orders.x", text),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function change(client: NatsConnection, manager: JetStreamManager, fields: object): Promise<void> {
  const { config } = await manager.consumers.info("ORDERS", "relay-sub");
  const body = { stream_name: "ORDERS", config: { ...config, ...fields }, action: "update" };
  const answer = await client.request("$JS.API.CONSUMER.CREATE.ORDERS.relay-sub", JSON.stringify(body));
  expect(answer.json<{ error?: unknown }>().error).toBeUndefined();
}

async function isRight(manager: JetStreamManager): Promise<boolean> {
  const { config } = await manager.consumers.info("ORDERS", "relay-sub");
  return config.headers_only !== true && config.max_deliver === -1 && config.priority_groups === undefined;
}

test.each(["AUTO", "AT_LEAST_ONCE", "AT_MOST_ONCE"] as const)(
  "headers_only and others, set while it runs under %s: no message is sent empty, and they are put right",
  async (qos) => {
    await using setup = await setUp();
    const { client, manager, bodies, publish } = setup;
    await using relay = await setup.start(qos);
    await relay.logged("Consuming");
    await change(client, manager, FIELDS);
    const texts = Array.from({ length: 20 }, (_, index) => `text ${index + 10}`);
    for (const text of texts) await publish(text);
    await eventually(() => isRight(manager));
    await eventually(() => bodies().length >= texts.length);
    expect(bodies()).toEqual(texts);
    // The first to notice: the message without its body, the look at the consumer, or a server that wants a group.
    expect(String((await relay.logged("Consumer lost"))["reason"])).toMatch(/headers only|priority group/);
  },
  120_000,
);

test("other filters, set while it runs: put back, and what it passed over meanwhile is delivered", async () => {
  await using setup = await setUp();
  const { client, manager, bodies, publish } = setup;
  await using relay = await setup.start("AUTO");
  await relay.logged("Consuming");
  for (const text of ["a", "b", "c"]) await publish(text);
  await eventually(() => bodies().length === 3);
  await change(client, manager, { filter_subject: "orders.none" });
  for (const text of ["d", "e", "f"]) await publish(text);
  await eventually(() => bodies().includes("f"));
  expect(new Set(bodies())).toEqual(new Set(["a", "b", "c", "d", "e", "f"]));
  expect(await relay.logged("Consumer lost")).toMatchObject({
    reason: "somebody changed its filter subjects",
  });
}, 120_000);

test("set before it starts: put right before anything is pulled; what must be made anew for it is, where it was", async () => {
  await using setup = await setUp();
  const { manager, bodies, publish } = setup;
  await manager.consumers.add("ORDERS", {
    durable_name: "relay-sub",
    ack_policy: "explicit",
    headers_only: true,
    replay_policy: "original",
    max_waiting: 1,
  });
  await publish("first");
  await publish("second");
  await using relay = await setup.start("AT_LEAST_ONCE");
  expect((await relay.logged("Consuming"))["change"]).toBe("recreated");
  await eventually(() => bodies().length === 2);
  expect(bodies()).toEqual(["first", "second"]);
  const { config } = await manager.consumers.info("ORDERS", "relay-sub");
  expect(config).toMatchObject({ replay_policy: "instant", max_waiting: 512 });
});

test("an empty message whose publisher wrote a size itself is sent as any other", async () => {
  await using setup = await setUp();
  await using relay = await setup.start("AT_LEAST_ONCE");
  await relay.logged("Consuming");
  const own = headers();
  own.set("Nats-Msg-Size", "7");
  await jetstream(setup.client).publish("orders.x", "", { headers: own });
  await setup.publish("after");
  await eventually(() => setup.bodies().length === 2);
  expect(setup.bodies()).toEqual(["", "after"]);
});

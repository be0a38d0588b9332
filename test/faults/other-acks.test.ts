// A consumer that somebody makes anew with other acks than this relay wants, such as a relay whose file says another `qos`: it is
// noticed, and two relays do not take it from each other many times a second.

import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { type ConfigOptions, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream, removeConsumer } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startReceiver, type Respond } from "../support/receiver.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";

const DURABLE = { stream: "ORDERS", durable: "relay-sub" };
const CONTESTED = "Cannot consume ORDERS as relay-sub: another relay uses it with another quality of service";

async function setUp(respond: Respond) {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const receiver = stack.use(await startReceiver(respond));
  const client = await nats.connect();
  const manager = await jetstreamManager(client);
  await addStream(client);
  const owned = stack.move();
  return {
    receiver,
    manager,
    start: (qos: ConfigOptions["qos"] & string) => {
      const entrypoint = { http: { maxConcurrentConnections: 2 } };
      return startRelay({
        config: testConfig({ natsUrl: nats.url, callbackUrl: receiver.url.href, qos, entrypoint }),
      });
    },
    async publish(count: number) {
      for (let i = 0; i < count; i += 1) await jetstream(client).publish("orders.x", String(i));
    },
    ackPolicy: async () => (await manager.consumers.info("ORDERS", "relay-sub")).config.ack_policy,
    /** As another relay with `qos` NONE does; the one under test may be quicker to make it again. */
    async takeAcks() {
      const config = { durable_name: "relay-sub", ack_policy: AckPolicy.None };
      await eventually(async () => {
        await removeConsumer(manager, DURABLE);
        const made = await manager.consumers.add("ORDERS", config).catch(() => null);
        return made?.config.ack_policy === AckPolicy.None;
      });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function count(relay: RelayProcess, message: string): number {
  return relay.logs.filter((line) => line.message === message).length;
}

test("made anew without acks while nothing is asked for: noticed, and given its acks back", async () => {
  await using setup = await setUp(({ body }) => (body.toString() === "1" ? 200 : null));
  await using relay = await setup.start("AUTO");
  await relay.logged("Consuming");
  await setup.publish(50);
  await eventually(async () => {
    const info = await setup.manager.consumers.info("ORDERS", "relay-sub");
    return setup.receiver.requests.length === 3 && info.num_waiting === 0;
  });
  await setup.takeAcks();
  expect(await relay.logged("Consumer lost")).toMatchObject({ reason: "it was re-created without acks" });
  await eventually(async () => (await setup.ackPolicy()) === "explicit");
}, 120_000);

test("made anew without acks again and again: given them back, then waited with the reason", async () => {
  await using setup = await setUp(() => 200);
  await using relay = await setup.start("AUTO");
  await relay.logged("Consuming");
  await eventually(async () => {
    const isContested = relay.logs.some(({ reason }) => reason === CONTESTED);
    if (!isContested) await setup.takeAcks();
    return isContested;
  });
  expect(count(relay, "Consuming")).toBeGreaterThan(1);
  const { status, body } = await readiness(relay);
  expect(status).toBe(503);
  expect(body).toContain(CONTESTED);
  expect(await setup.ackPolicy()).toBe("none");
});

test("two relays, one without acks: one waits and says why, the other one delivers", async () => {
  await using setup = await setUp(() => 200);
  await using careful = await setup.start("AUTO");
  await careful.logged("Consuming");
  await using careless = await setup.start("NONE");
  const waiting = await eventually(() =>
    [careful, careless].find((relay) => count(relay, "Subscription waits") > 0),
  );
  expect(waiting.logs.find(({ message }) => message === "Subscription waits")?.["reason"]).toBe(CONTESTED);
  await setup.publish(20);
  await eventually(() => setup.receiver.requests.length >= 20);
  expect(count(careful, "Consuming") + count(careless, "Consuming")).toBeLessThanOrEqual(3);
}, 120_000);

async function readiness(relay: RelayProcess): Promise<{ status: number; body: string }> {
  const response = await fetch(`${await relay.url()}/readyz`);
  return { status: response.status, body: await response.text() };
}

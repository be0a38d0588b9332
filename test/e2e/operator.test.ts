// What an operator does to the consumer on the server, with `nats consumer pause` and `nats consumer reset`: it is shown, and obeyed.

import { jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { openApi } from "../support/api.ts";
import { type ConfigOptions, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream, publishMany } from "../support/nats.ts";
import { fetchNatsServer, startNatsServer } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { runRelay, startRelay } from "../support/relay.ts";

async function setUp(qos: NonNullable<ConfigOptions["qos"]>) {
  await using owned = new AsyncDisposableStack();
  const nats = owned.use(await startNatsServer({ binary: fetchNatsServer() }));
  const client = await nats.connect();
  await addStream(client);
  const receiver = owned.use(await startReceiver());
  const config = testConfig({
    natsUrl: nats.url,
    callbackUrl: receiver.url.href,
    qos,
    subscription: { deliverPolicy: "all" },
  });
  const relay = owned.use(await startRelay({ config }));
  const url = await relay.url();
  const api = await openApi(url);
  await eventually(async () => (await api("GET", "/readyz")).status === 200);
  const moved = owned.move();
  return {
    client,
    relay,
    url,
    api,
    bodies: () => receiver.requests.map(({ body }) => body.toString()),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

test("a pause on the server is shown as a state with its reason, in the API, the list and the readiness, which stays green", async () => {
  await using setup = await setUp("AUTO");
  const { client, api, url, bodies } = setup;
  const { consumers } = await jetstreamManager(client);
  const until = new Date(Date.now() + 3_600_000);
  await consumers.pause("ORDERS", "relay-sub", until);
  const reason = `Paused on the server until ${until.toISOString()}`;
  await eventually(async () => (await api("GET", "/api/subscriptions/sub")).body.reason === reason, {
    withinMs: 40_000,
  });
  expect((await api("GET", "/api/subscriptions/sub")).body).toMatchObject({
    status: "ACCEPTED",
    state: "paused",
  });
  const { status, body } = await api("GET", "/readyz");
  expect([status, body.idle]).toEqual([200, [`Subscription sub: ${reason}`]]);
  const { stdout } = await runRelay(["subscriptions", "show", "sub", "--url", url]);
  expect(stdout).toContain(reason);
  await publishMany(client, "orders.a", 3);
  await consumers.resume("ORDERS", "relay-sub");
  await eventually(() => bodies().length === 3);
  await eventually(async () => (await api("GET", "/api/subscriptions/sub")).body.state === "running", {
    withinMs: 40_000,
  });
}, 100_000);

test.each(["AUTO", "AT_LEAST_ONCE", "AT_MOST_ONCE"] as const)(
  "%s: after a reset on the server the messages are sent again, and it is told",
  async (qos) => {
    await using setup = await setUp(qos);
    const { client, relay, bodies } = setup;
    await publishMany(client, "orders.a", 20);
    await eventually(() => bodies().length === 20);
    const { consumers } = await jetstreamManager(client);
    await eventually(async () => (await consumers.info("ORDERS", "relay-sub")).ack_floor.stream_seq === 20);
    for (const round of [1, 2]) {
      if (qos === "AT_MOST_ONCE") {
        // What a killed server may have forgotten is not told from what an operator wants again.
        const written = performance.now() + 5000;
        await eventually(() => performance.now() > written);
      }
      const answer = await client.request(
        "$JS.API.CONSUMER.RESET.ORDERS.relay-sub",
        JSON.stringify({ seq: 6 }),
      );
      expect(answer.json<{ error?: unknown }>().error).toBeUndefined();
      await eventually(() => bodies().length === 20 + round * 15);
      const again = bodies().slice(-15).map(Number);
      expect(again.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 15 }, (_, index) => index + 6));
      await eventually(async () => (await consumers.info("ORDERS", "relay-sub")).ack_floor.stream_seq === 20);
    }
    expect(
      relay.logs.filter(({ message }) => message.startsWith("Somebody reset the consumer")),
    ).toHaveLength(2);
    await publishMany(client, "orders.a", 1);
    await eventually(() => bodies().length === 51);
  },
  120_000,
);

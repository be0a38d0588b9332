// Dead letters go to a domain behind a broken line: it hears nothing, and nobody says so. Messages flow on, and a stop is in time.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";

import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { type Respond, startReceiver } from "../support/receiver.ts";
import { startRelay, temporaryDirectory } from "../support/relay.ts";

/** Four times what is held at once. */
const MESSAGES = 200;

async function setUp({
  respond,
  qos,
  graceSeconds = 20,
}: {
  respond: Respond;
  qos: "AUTO" | "AT_LEAST_ONCE";
  graceSeconds?: number;
}) {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const receiver = stack.use(await startReceiver(respond));
  const directory = stack.use(await temporaryDirectory()).path;
  const client = await nats.connect();
  await addStream(client);
  const stored: string[] = [];
  client.subscribe("$JS.far.API.>", { callback: () => undefined });
  client.subscribe("letters.>", { callback: (_, msg) => void stored.push(msg.subject) });
  await client.flush();
  const config = testConfig({ natsUrl: nats.url, callbackUrl: receiver.url.href, qos });
  const [orders] = config["endpoints"] as readonly object[];
  const [entrypoint] = config["entrypoints"] as readonly object[];
  const endpoint = (name: string) => ({
    name,
    type: "jetstream",
    domain: "far",
    producer: { stream: name, subject: `letters.${name}` },
  });
  const owned = stack.move();
  return {
    client,
    receiver,
    /** Subjects of letters that were published, and not answered. */
    stored,
    start: () =>
      startRelay({
        directory,
        config: {
          ...config,
          shutdown: { graceSeconds },
          endpoints: [orders, endpoint("ONE"), endpoint("TWO")],
          endpointGroups: [{ name: "both", endpoints: ["ONE", "TWO"] }],
          entrypoints: [{ ...entrypoint, dlq: { endpoint: "both" } }],
        },
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test("messages that come again are not held up by looking for their letters", async () => {
  await using setup = await setUp({ respond: () => 200, qos: "AUTO" });
  const { client, receiver } = setup;
  const js = jetstream(client);
  await using first = await setup.start();
  await first.logged("Consuming");
  first.signal("SIGTERM");
  await first.exited;
  for (let n = 1; n <= MESSAGES; n += 1) await js.publish("orders.x", String(n));
  const consumer = await js.consumers.get("ORDERS", "relay-sub");
  const delivered = await Array.fromAsync(await consumer.fetch({ max_messages: MESSAGES, expires: 5000 }));
  for (const msg of delivered) msg.nak();
  await client.flush();
  await using second = await setup.start();
  await second.logged("Consuming");
  await eventually(() => receiver.requests.length >= MESSAGES, { withinMs: 15_000 });
  expect(new Set(receiver.requests.map(({ body }) => body.toString())).size).toBe(MESSAGES);
}, 120_000);

test("a stop ends the storing of a letter that nobody takes, within the grace", async () => {
  await using setup = await setUp({ respond: () => 404, qos: "AT_LEAST_ONCE", graceSeconds: 1 });
  await using relay = await setup.start();
  await relay.logged("Consuming");
  await jetstream(setup.client).publish("orders.x", "body");
  await eventually(() => setup.stored.length > 0);
  const startMs = performance.now();
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(0);
  // Without end, if the stop did not end it.
  expect(performance.now() - startMs).toBeLessThan(20_000);
  const manager = await jetstreamManager(setup.client);
  expect((await manager.consumers.info("ORDERS", "relay-sub")).ack_floor.stream_seq).toBe(0);
}, 120_000);

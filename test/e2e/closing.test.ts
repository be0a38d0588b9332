// What happens while a subscription closes: the table still holds, and others are told at once.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream, removeConsumer } from "../support/nats.ts";
import { startRelay, temporaryDirectory } from "../support/relay.ts";
import { startScriptedReceiver } from "../support/scripted-receiver.ts";

let stack: AsyncDisposableStack;
let nats: NatsServer;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
});
afterAll(() => stack.disposeAsync());

async function publish(stream: string, scripts: readonly object[]): Promise<void> {
  const client = await nats.connect();
  await addStream(client, { name: stream, subjects: [stream] });
  const js = jetstream(client);
  for (const script of scripts) await js.publish(stream, JSON.stringify(script));
}

async function letters(): Promise<number> {
  const manager = await jetstreamManager(await nats.connect());
  return (await manager.streams.info("DLQ")).state.messages;
}

test("a request in flight that is rejected after SIGTERM becomes a dead letter, not a repetition", async () => {
  await using receiver = await startScriptedReceiver({ delayMs: 500 });
  await publish("TERM", [{ name: "bad", answers: [404] }]);
  const config = testConfig({
    natsUrl: nats.url,
    callbackUrl: `${receiver.url}/sub`,
    hasDeadLetters: true,
    consumer: { stream: "TERM" },
  });
  await using relay = await startRelay({ config });
  await eventually(() => receiver.inFlight === 1);
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(0);
  expect(await letters()).toBe(1);
  const manager = await jetstreamManager(await nats.connect());
  expect((await manager.consumers.info("TERM", "relay-sub")).num_ack_pending).toBe(0);
});

test("an interruption is told at once, while another request is still under way", async () => {
  await using receiver = await startScriptedReceiver();
  await publish("SLOW", [
    { name: "slow", answers: ["hang"] },
    { name: "bad", answers: [500] },
  ]);
  const config = testConfig({
    natsUrl: nats.url,
    callbackUrl: `${receiver.url}/sub`,
    consumer: { stream: "SLOW" },
  });
  await using relay = await startRelay({ config });
  await relay.logged("Subscription interrupted");
  expect(receiver.inFlight).toBe(1);
  const ready = (await (await fetch(`${await relay.url()}/readyz`)).json()) as { idle: string[] };
  expect(ready.idle).toEqual(["Subscription sub failed"]);
});

test("a relay that is stopped in its tracks still keeps a second one from its state", async () => {
  await publish("STOPPED", []);
  await using directory = await temporaryDirectory();
  const config = testConfig({
    natsUrl: nats.url,
    callbackUrl: "http://127.0.0.1:9/",
    consumer: { stream: "STOPPED" },
  });
  await using first = await startRelay({ config, directory: directory.path });
  await first.logged("Consuming");
  first.signal("SIGSTOP");
  const elsewhere = { ...config, server: { listen: null, controlSocket: `${directory.path}/other.sock` } };
  await using second = await startRelay({ config: elsewhere, directory: directory.path });
  expect(await second.exited).toBe(1);
  expect(second.stderr()).toContain("another relay is running");
  first.signal("SIGCONT");
});

test("a consumer that is deleted before anything was acknowledged does not start from the beginning", async () => {
  await using receiver = await startScriptedReceiver();
  await publish("OLD", [{ name: "old-1" }, { name: "old-2" }, { name: "last", answers: ["hang"] }]);
  const config = testConfig({
    natsUrl: nats.url,
    callbackUrl: `${receiver.url}/sub`,
    consumer: { stream: "OLD" },
    subscription: { deliverPolicy: "last" },
  });
  await using relay = await startRelay({ config });
  await eventually(() => receiver.inFlight === 1);
  const client = await nats.connect();
  await removeConsumer(await jetstreamManager(client), { stream: "OLD", durable: "relay-sub" });
  await relay.logged("Consumer lost");
  await jetstream(client).publish("OLD", JSON.stringify({ name: "new" }));
  await eventually(() => receiver.names("/sub").includes("new"));
  expect(receiver.names("/sub").filter((name) => name.startsWith("old"))).toEqual([]);
});

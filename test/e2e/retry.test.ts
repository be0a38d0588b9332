// Retries through the binary: how often, how far apart, and what they do not hold up.

import { jetstream, type JetStreamClient } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { RETRY_ON_FAIL, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { startRelay } from "../support/relay.ts";
import { type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";

let stack: AsyncDisposableStack;
let nats: NatsServer;
let js: JetStreamClient;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
  js = jetstream(await nats.connect());
});
afterAll(() => stack.disposeAsync());

let streams = 0;

/** A stream and a relay of its own for each test. */
async function start(
  receiver: ScriptedReceiver,
  { qos, retry = RETRY_ON_FAIL }: { qos: "AUTO" | "AT_LEAST_ONCE"; retry?: object },
): Promise<{ publish: (script: object) => Promise<unknown> } & AsyncDisposable> {
  streams += 1;
  const stream = `RETRY_${streams}`;
  await addStream(await nats.connect(), { name: stream, subjects: [stream] });
  const config = testConfig({
    natsUrl: nats.url,
    callbackUrl: `${receiver.url}/sub`,
    qos,
    entrypoint: { http: { maxConcurrentConnections: 1 }, interruptConsumptionOnServerError: false },
    consumer: { stream },
    subscription: { retry },
  });
  const entrypoints = JSON.parse(JSON.stringify(config)) as { subscriptions: { id: string }[] };
  for (const subscription of entrypoints.subscriptions) subscription.id = stream;
  const relay = await startRelay({ config: entrypoints });
  await relay.logged("Consuming");
  return {
    publish: (script) => js.publish(stream, JSON.stringify(script)),
    [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose](),
  };
}

test("a message that fails twice is delivered by the third attempt, with one webhook-id", async () => {
  await using receiver = await startScriptedReceiver();
  await using relay = await start(receiver, { qos: "AUTO" });
  await relay.publish({ name: "flaky", answers: [500, 502, 200] });
  await eventually(() => receiver.requests.length >= 3);
  const [first, second, third] = receiver.requests;
  expect(new Set(receiver.requests.map(({ webhookId }) => webhookId)).size).toBe(1);
  const gaps = [(second?.at ?? 0) - (first?.at ?? 0), (third?.at ?? 0) - (second?.at ?? 0)];
  expect(gaps[0]).toBeGreaterThanOrEqual(1000);
  expect(gaps[1]).toBeGreaterThanOrEqual(2000);
});

test("under AUTO a message that waits for its retry holds up no other, not even on one connection", async () => {
  await using receiver = await startScriptedReceiver();
  await using relay = await start(receiver, { qos: "AUTO" });
  await relay.publish({ name: "flaky", answers: [500, 200] });
  await relay.publish({ name: "a" });
  await relay.publish({ name: "b" });
  await eventually(() => receiver.requests.length >= 4);
  expect(receiver.names("/sub")).toEqual(["flaky", "a", "b", "flaky"]);
});

test("under AT_LEAST_ONCE order is kept across retries", async () => {
  await using receiver = await startScriptedReceiver();
  await using relay = await start(receiver, { qos: "AT_LEAST_ONCE" });
  await relay.publish({ name: "flaky", answers: [500, 200] });
  await relay.publish({ name: "a" });
  await relay.publish({ name: "b" });
  await eventually(() => receiver.requests.length >= 4);
  expect(receiver.names("/sub")).toEqual(["flaky", "flaky", "a", "b"]);
});

test("a rejection is not retried, but 408, 425 and 429 are", async () => {
  await using receiver = await startScriptedReceiver();
  await using relay = await start(receiver, { qos: "AUTO" });
  await relay.publish({ name: "408", answers: [408, 200] });
  await relay.publish({ name: "425", answers: [425, 200] });
  await relay.publish({ name: "429", answers: [429, 200] });
  await eventually(() => receiver.requests.length >= 6);
  await relay.publish({ name: "400", answers: [400, 200] });
  await relay.publish({ name: "never sent: the subscription is interrupted" });
  await eventually(() => receiver.names("/sub").includes("400"));
  expect(receiver.names("/sub").filter((name) => name === "400")).toHaveLength(1);
});

test("after the last retry the table decides: dropped here, and the next one is delivered", async () => {
  await using receiver = await startScriptedReceiver();
  await using relay = await start(receiver, {
    qos: "AT_LEAST_ONCE",
    retry: { ...RETRY_ON_FAIL, maxAttempts: 1 },
  });
  await relay.publish({ name: "broken", answers: [503] });
  await relay.publish({ name: "next" });
  await eventually(() => receiver.names("/sub").includes("next"));
  expect(receiver.names("/sub")).toEqual(["broken", "broken", "next"]);
});

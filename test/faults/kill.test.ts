// The guarantees, while the relay, then nats-server, then both are killed with SIGKILL, again and again.

import { jetstream, jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { startRelay, temporaryDirectory } from "../support/relay.ts";
import { type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";

const MESSAGES = 1000;
/** Every so many is rejected for good. */
const POISON_EVERY = 40;
const ROUNDS = 2;
const VICTIMS = ["relay", "nats", "both"] as const;
const KILLS = ROUNDS * VICTIMS.length;
const ORDERED = "at-least-once";
const ONCE = "at-most-once";
const AUTO = "auto";

function toConfig(nats: NatsServer, receiver: ScriptedReceiver): Record<string, unknown> {
  const configuration = { http: { maxConcurrentConnections: 2 }, interruptConsumptionOnException: false };
  const entrypoint = (id: string, qos: string) => ({
    type: "webhook",
    id,
    endpoint: "work",
    qos,
    dlq: { endpoint: "letters" },
    configuration,
  });
  const subscription = (id: string) => ({
    id,
    configuration: {
      entrypointId: id,
      callbackUrl: `${receiver.url}/${id}`,
      retry: { retryOption: "Retry On Fail", retryStrategy: "LINEAR", maxAttempts: 5 },
    },
  });
  return {
    nats: { servers: [nats.url] },
    logs: { level: "info" },
    endpoints: [
      { name: "work", type: "jetstream", consumer: { stream: "WORK", ackWaitSeconds: 5 } },
      { name: "letters", type: "jetstream", producer: { stream: "DLQ", subject: "dlq", create: true } },
    ],
    entrypoints: [
      entrypoint(ORDERED, "AT_LEAST_ONCE"),
      entrypoint(ONCE, "AT_MOST_ONCE"),
      entrypoint(AUTO, "AUTO"),
    ],
    subscriptions: [subscription(ORDERED), subscription(ONCE), subscription(AUTO)],
  };
}

async function publishWork(nats: NatsServer): Promise<void> {
  const client = await nats.connect();
  const manager = await jetstreamManager(client);
  await manager.streams.add({ name: "WORK", subjects: ["work"] });
  const js = jetstream(client);
  for (let n = 1; n <= MESSAGES; n += 1) {
    await js.publish(
      "work",
      JSON.stringify({ name: String(n), answers: [n % POISON_EVERY === 0 ? 422 : 200] }),
    );
  }
  await client.close();
}

/** Letters of a subscription, by the number of the message. */
async function readLetters(manager: JetStreamManager, id: string): Promise<number[]> {
  const info = await manager.streams.info("DLQ", { subjects_filter: `dlq.${id}.>` });
  const sequences = Object.entries(info.state.subjects ?? {}).flatMap(([subject, count]) =>
    Array.from({ length: count }, () => Number(/\.(\d+)-\w+$/.exec(subject)?.[1])),
  );
  return sequences.sort((a, b) => a - b);
}

test(`${MESSAGES} messages through ${KILLS} kills: at-least-once loses none and keeps order, at-most-once repeats none`, async () => {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const receiver = stack.use(await startScriptedReceiver({ delayMs: 1 }));
  const directory = stack.use(await temporaryDirectory()).path;
  await publishWork(nats);
  const start = () => startRelay({ config: toConfig(nats, receiver), directory });
  let relay = await start();
  stack.defer(() => relay[Symbol.asyncDispose]());

  const numbers = (id: string) => receiver.names(`/${id}`).map(Number);
  for (let kill = 1; kill <= KILLS; kill += 1) {
    const enough = (MESSAGES * kill) / (KILLS + 1);
    await eventually(() => numbers(ORDERED).length >= enough && numbers(ONCE).length >= enough, {
      withinMs: 60_000,
      what: `${enough} messages before kill ${kill}`,
    });
    const victim = VICTIMS[(kill - 1) % VICTIMS.length];
    if (victim !== "nats") relay.signal("SIGKILL");
    if (victim !== "relay") await nats.kill();
    if (victim !== "nats") await relay.exited;
    if (victim !== "relay") await nats.restart();
    if (victim !== "nats") relay = await start();
  }

  const manager = await jetstreamManager(await nats.connect());
  for (const id of [ORDERED, ONCE, AUTO]) {
    await eventually(
      async () => {
        const { num_ack_pending, num_pending } = await manager.consumers.info("WORK", `relay-${id}`);
        return num_ack_pending === 0 && num_pending === 0;
      },
      { withinMs: 60_000, what: `${id} is through` },
    );
  }
  const all = Array.from({ length: MESSAGES }, (_, index) => index + 1);
  const poison = all.filter((n) => n % POISON_EVERY === 0);

  const ordered = numbers(ORDERED);
  expect([...new Set(ordered)]).toEqual(all);
  expect(ordered.filter((n, index) => n < (ordered[index - 1] ?? 0))).toEqual([]);
  expect(await readLetters(manager, ORDERED)).toEqual(poison);

  const auto = numbers(AUTO);
  expect([...new Set(auto)].sort((a, b) => a - b)).toEqual(all);
  expect(await readLetters(manager, AUTO)).toEqual(poison);

  const once = numbers(ONCE);
  expect(once.length).toBe(new Set(once).size);
  const lost = all.filter((n) => !once.includes(n));
  expect(lost.length).toBeLessThanOrEqual(KILLS);
  const letters = await readLetters(manager, ONCE);
  expect(new Set(letters).size).toBe(letters.length);

  console.log(
    `duplicates: at-least-once ${ordered.length - MESSAGES}, auto ${auto.length - MESSAGES}; lost: at-most-once ${lost.length}`,
  );
}, 300_000);

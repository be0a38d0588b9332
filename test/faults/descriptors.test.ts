// A relay without a file descriptor left can call nobody, and that is no fault of a callback: it took what it could not call
// for a callback that refuses connections, interrupted subscriptions, and lost messages.

import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";

import { eventually } from "../support/eventually.ts";
import { readMetric } from "../support/metrics.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { startRelay } from "../support/relay.ts";

const ALL_QOS = ["NONE", "AUTO", "AT_MOST_ONCE", "AT_LEAST_ONCE"] as const;
/** Below what any process has open. */
const NONE_LEFT = 3;
const ENOUGH = 1000;
const MESSAGES = 3;
/** Some tries of each message. */
const WITHOUT_MS = 2000;

/** Of what it opens from now on; what is open stays. */
async function limitDescriptors(pid: number, count: number): Promise<void> {
  await Bun.$`prlimit --pid ${pid} --nofile=${count}:${ENOUGH}`;
}

test("messages wait while the relay has no file descriptor left, under every quality of service", async () => {
  await using nats = await startNatsServer();
  await using receiver = await startReceiver();
  const client = await nats.connect();
  await addStream(client);
  const { port } = receiver.url;
  // By address and by name: the look-up needs descriptors too.
  const ids = ALL_QOS.flatMap((qos) => [`${qos}-address`, `${qos}-name`]);
  await using relay = await startRelay({
    config: {
      nats: { servers: [nats.url] },
      endpoints: [{ name: "orders", type: "jetstream", consumer: { stream: "ORDERS" } }],
      entrypoints: ALL_QOS.map((qos) => ({ type: "webhook", id: qos, endpoint: "orders", qos })),
      subscriptions: ids.map((id) => {
        const [entrypointId, by] = id.split("-");
        const host = by === "name" ? "localhost" : "127.0.0.1";
        return {
          id,
          configuration: { entrypointId, callbackUrl: `http://${host}:${port}/${id}`, deliverPolicy: "new" },
        };
      }),
      logs: { level: "info" },
    },
  });
  const consuming = () => relay.logs.filter(({ message }) => message === "Consuming").length;
  await eventually(() => consuming() === ids.length, { what: "all to consume" });
  await limitDescriptors(relay.pid, NONE_LEFT);
  for (let number = 1; number <= MESSAGES; number += 1)
    await jetstream(client).publish("orders.x", `${number}`);
  await relay.logged("Out of file descriptors: messages wait");
  const since = performance.now();
  await eventually(() => performance.now() - since > WITHOUT_MS);
  expect(receiver.requests).toEqual([]);
  await limitDescriptors(relay.pid, ENOUGH);
  await eventually(() => receiver.requests.length >= ids.length * MESSAGES, { withinMs: 15_000 });
  for (const id of ids) {
    const bodies = receiver.requests
      .filter(({ path }) => path === `/${id}`)
      .map(({ body }) => body.toString());
    expect([id, bodies.toSorted()]).toEqual([id, ["1", "2", "3"]]);
    expect(await readMetric(relay, "relay_postponed_attempts_total", { subscription: id })).toBeGreaterThan(
      0,
    );
    expect(await readMetric(relay, "relay_exceptions_total", { subscription: id })).toBe(0);
  }
  const told = relay.logs.filter(
    ({ level, message }) => level !== "info" && !message.startsWith("entrypoints"),
  );
  expect(told.map(({ message }) => message)).toEqual(["Out of file descriptors: messages wait"]);
}, 120_000);

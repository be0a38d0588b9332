// Without NATS and with nothing held, no lease can be lost: each one that ran out used to be logged and begun anew, for ever.

import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";

import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startRelay } from "../support/relay.ts";
import { startScriptedReceiver } from "../support/scripted-receiver.ts";

/** The lease is two thirds of it. */
const ACK_WAIT_MS = 5000;

test("a relay without NATS that holds nothing logs next to nothing, and goes on when NATS is back", async () => {
  await using nats = await startNatsServer();
  await using receiver = await startScriptedReceiver();
  await addStream(await nats.connect());
  const config = testConfig({ natsUrl: nats.url, callbackUrl: `${receiver.url}/sub`, qos: "AT_LEAST_ONCE" });
  await using relay = await startRelay({ config: { ...config, logs: { level: "info" } } });
  await relay.logged("Consuming");
  await nats.kill();
  const killedAt = performance.now();
  const before = relay.logs.length;
  await eventually(() => performance.now() - killedAt > ACK_WAIT_MS, { what: "more than a lease" });
  const logged = relay.logs.slice(before).map(({ message }) => message);
  expect(logged.filter((message) => message.startsWith("NATS was silent"))).toEqual([]);
  expect(logged.length).toBeLessThan(5);
  await nats.restart();
  const js = jetstream(await nats.connect());
  await js.publish("orders.x", JSON.stringify({ name: "after", answers: [200] }));
  await eventually(() => receiver.names("/sub").includes("after"), { withinMs: 15_000 });
}, 120_000);

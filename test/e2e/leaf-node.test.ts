// A relay at the edge: its own nats-server is a leaf node; it reads a stream of the hub's JetStream domain, and keeps dead letters at home.

import { jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { freePort, startNatsServer } from "../support/nats-server.ts";
import { addStream, publishMany } from "../support/nats.ts";
import { startReceiver } from "../support/receiver.ts";
import { startRelay } from "../support/relay.ts";

test("it consumes over the leaf node, goes on when the link was down, and stores dead letters at the edge", async () => {
  const linkPort = await freePort();
  await using hub = await startNatsServer({
    domain: "hub",
    configText: `leafnodes { listen: "127.0.0.1:${linkPort}" }`,
  });
  await using edge = await startNatsServer({
    domain: "edge",
    configText: `leafnodes { remotes: [{ url: "nats://127.0.0.1:${linkPort}" }], reconnect: 1 }`,
  });
  const atHub = await hub.connect();
  await addStream(atHub);
  await using receiver = await startReceiver(({ body }) => (body.toString() === "2" ? 404 : 200));
  const config = testConfig({
    natsUrl: edge.url,
    callbackUrl: receiver.url.href,
    qos: "AT_LEAST_ONCE",
    hasDeadLetters: true,
  });
  const [source, letters] = config["endpoints"] as readonly Readonly<Record<string, unknown>>[];
  const endpoints = [
    { ...source, domain: "hub" },
    { ...letters, domain: "edge" },
  ];
  await using relay = await startRelay({ config: { ...config, endpoints } });
  await relay.logged("Connected to NATS");
  const received = () => receiver.requests.map(({ body }) => body.toString());
  await publishMany(atHub, "orders.a", 3);
  await eventually(() => received().includes("3"));
  const manager = await jetstreamManager(await edge.connect());
  await eventually(async () => (await manager.streams.info("DLQ")).state.messages === 1, {
    what: "a letter",
  });

  await hub.kill();
  await hub.restart();
  const again = await hub.connect();
  await publishMany(again, "orders.b", 1);
  await eventually(() => received().filter((body) => body === "1").length === 2, {
    what: "a message from after the break",
    withinMs: 20_000,
  });
  expect(received()).toEqual(["1", "2", "3", "1"]);
}, 120_000);

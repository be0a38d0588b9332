// The bucket of states on a cluster: as many copies as the streams that are read have, so that a pause outlives a server.

import { jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { fetchNatsServer, startNatsCluster } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { startRelay } from "../support/relay.ts";

test.each([1, 3])(
  "a bucket that Relay makes has the %d copies of its stream",
  async (replicas) => {
    await using cluster = await startNatsCluster({ binary: fetchNatsServer() });
    const [first] = cluster.servers;
    if (first === undefined) throw new Error("The cluster has no servers");
    const client = await first.connect();
    await addStream(client, { num_replicas: replicas });
    await using receiver = await startReceiver();
    await using relay = await startRelay({
      config: testConfig({ natsUrl: first.url, callbackUrl: receiver.url.href }),
    });
    await relay.logged("Consuming");
    const { streams } = await jetstreamManager(client);
    const made = await eventually(() => streams.info("KV_relay"));
    expect(made.config.num_replicas).toBe(replicas);
  },
  240_000,
);

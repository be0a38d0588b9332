// Seeks while two relays share a subscription on replicated streams: one after the other through either relay, each is answered
// soon, both relays go on at the new place, and what is published meanwhile is lost by none of it.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Api, openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { runsOrStandsBy } from "../support/metrics.ts";
import { fetchNatsServer, type NatsCluster, startNatsCluster } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";

const SEEKS = 12;
const PER_SECOND = 200;
/** From the request to the answer. */
const ANSWERED_MS = 20_000;

let cluster: NatsCluster;

beforeAll(async () => {
  cluster = await startNatsCluster({ binary: fetchNatsServer() });
});
afterAll(() => cluster[Symbol.asyncDispose]());

interface Host {
  readonly relay: RelayProcess;
  readonly api: Api;
}

function fail(): never {
  throw new Error("There is no such host");
}

async function setUp({
  qos,
  stream,
  relays,
}: {
  qos: "AUTO" | "AT_LEAST_ONCE";
  stream: string;
  relays: number;
}) {
  await using owned = new AsyncDisposableStack();
  const received: number[] = [];
  const receiver = owned.use(
    await startReceiver(({ body }) => {
      received.push(Number(body.toString()));
      return 200;
    }),
  );
  const client = await (cluster.servers[0] ?? fail()).connect();
  const manager = await jetstreamManager(client);
  // The first one waits until all servers have joined.
  await eventually(() => manager.streams.add({ name: stream, subjects: [stream], num_replicas: 3 }));
  await manager.streams.add({
    name: `KV_${stream}`,
    subjects: [`$KV.${stream}.>`],
    num_replicas: 3,
    max_msgs_per_subject: 1,
    allow_rollup_hdrs: true,
    discard: "new",
    allow_direct: true,
  });
  const hosts: Host[] = [];
  for (let index = 0; index < relays; index += 1) {
    const config = testConfig({
      natsUrl: cluster.urls[index % cluster.urls.length] ?? "",
      callbackUrl: receiver.url.href,
      qos,
      consumer: { stream },
      more: { state: { bucket: stream } },
    });
    const relay = owned.use(await startRelay({ config }));
    const api = await openApi(await relay.url());
    await eventually(async () => (await api("GET", "/readyz")).status === 200);
    hosts.push({ relay, api });
  }
  const js = jetstream(client);
  let published = 0;
  const publishing = new AbortController();
  /** One message each few milliseconds, in order, until it is told to stop. */
  async function publish(): Promise<void> {
    const startedAt = performance.now();
    while (!publishing.signal.aborted) {
      const due = Math.floor(((performance.now() - startedAt) * PER_SECOND) / 1000);
      const batch = Array.from({ length: due - published }, (_, index) => String(published + index + 1));
      await Promise.all(batch.map((text) => js.publish(stream, text)));
      published += batch.length;
      await Bun.sleep(10);
    }
  }
  const running = publish();
  owned.defer(async () => {
    publishing.abort();
    await running;
  });
  const moved = owned.move();
  return {
    hosts,
    received,
    published: () => published,
    stopPublishing: async () => {
      publishing.abort();
      await running;
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

function firstMissing(received: readonly number[]): number {
  const seen = new Set(received);
  let number = 1;
  while (seen.has(number)) number += 1;
  return number;
}

test.each(["AT_LEAST_ONCE", "AUTO"] as const)(
  "%s: seeks in a row through two relays are each answered soon, both go on from there, and nothing is lost",
  async (qos) => {
    await using setup = await setUp({ qos, stream: `SEEK_${qos}`, relays: 2 });
    const { hosts, received, published, stopPublishing } = setup;
    await eventually(() => received.length > 100);
    const tookMs: number[] = [];
    const statuses: number[] = [];
    for (let index = 0; index < SEEKS; index += 1) {
      // Back from the first that has not come, for under AUTO either relay may hold older ones: so nothing is left out.
      const sequence = Math.max(1, firstMissing(received) - 50);
      const before = received.length;
      const startedAt = performance.now();
      const { status } = await (hosts[index % 2] ?? fail()).api("POST", "/api/subscriptions/sub/seek", {
        body: { sequence },
      });
      tookMs.push(Math.round(performance.now() - startedAt));
      statuses.push(status);
      // It goes on there, which was sent before.
      await eventually(() => received.slice(before).includes(sequence));
      for (const { api } of hosts)
        await eventually(async () => runsOrStandsBy((await api("GET", "/api/subscriptions/sub")).body));
    }
    expect(statuses).toEqual(statuses.map(() => 200));
    expect(Math.max(...tookMs)).toBeLessThan(ANSWERED_MS);
    await stopPublishing();
    const all = new Set<number>();
    await eventually(() => {
      for (const number of received) all.add(number);
      return all.size === published();
    });
    const made = hosts.flatMap(({ relay }) =>
      relay.logs.filter(({ change }) => change === "recreated" || change === "created"),
    );
    expect(made.length).toBeLessThanOrEqual(1);
  },
  240_000,
);

test("two seeks at once through different relays end at one of the two places, in both relays", async () => {
  await using setup = await setUp({ qos: "AUTO", stream: "SEEK_TWICE", relays: 3 });
  const { hosts, received, published, stopPublishing } = setup;
  await eventually(() => received.length > 200);
  const seek = (host: Host, sequence: number) =>
    host.api("POST", "/api/subscriptions/sub/seek", { body: { sequence } });
  for (let round = 0; round < 3; round += 1) {
    const answers = await Promise.all(hosts.map((host, index) => seek(host, 10 + index)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  }
  await stopPublishing();
  await eventually(() => new Set(received).size === published());
  for (const { api } of hosts)
    await eventually(async () => (await api("GET", "/api/subscriptions/sub")).body.state === "running");
}, 240_000);

// The pump against a real server that is killed, loses consumers and streams, and holds large and malformed messages.

import { describe, expect, test } from "bun:test";
import { connect as connectSocket } from "node:net";

import { jetstreamManager } from "@nats-io/jetstream";
import { headers, type SubscriptionOptions } from "@nats-io/transport-node";

import { alignConsumer } from "#consumer/consumer.ts";
import { readConsumer } from "#consumer/info.ts";
import { createLimiter } from "#lib/limiter.ts";
import type { Capacity } from "#consumer/credit.ts";
import { type Pump, type PumpOptions, startPump } from "#consumer/pump.ts";
import type { Received } from "#consumer/received.ts";

import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsCluster, startNatsServer } from "../support/nats-server.ts";
import { startSlowLink } from "../support/slow-link.ts";
import { addStream, connected, publishMany, type TestConnection, removeConsumer } from "../support/nats.ts";

const SOURCE = { domain: null, stream: "ORDERS", ackWaitMs: 30_000 };
const DURABLE = "relay-billing";
const REF = { ...SOURCE, durable: DURABLE };

interface TestPump extends Pump, AsyncDisposable {
  readonly received: Received[];
  readonly lost: string[];
  /** What it told about whether the consumer can be used. */
  readonly obstacles: (string | null)[];
}

interface Wanted {
  readonly acks?: boolean;
  readonly maxAckPending?: number;
  readonly ackWaitMs?: number;
  readonly domain?: string | null;
}

/** Of the consumer that was aligned last over a connection. */
const createdTimes = new WeakMap<TestConnection, string>();

async function align(connection: TestConnection, { acks, maxAckPending, ackWaitMs, domain }: Wanted = {}) {
  const aligned = await alignConsumer(connection, {
    durable: DURABLE,
    acks: acks ?? true,
    maxAckPending: maxAckPending ?? 100,
    source: {
      domain: domain ?? null,
      stream: "ORDERS",
      filterSubjects: [],
      deliverPolicy: { kind: "all" },
      ackWaitMs: ackWaitMs ?? 30_000,
    },
  });
  createdTimes.set(connection, aligned.consumerCreated);
  return aligned;
}

type Changes = Partial<Omit<PumpOptions, "capacity"> & { readonly capacity: number | Capacity }>;

function exactly(count: number): Capacity {
  return { usual: count, most: count };
}

/** Keeps what it receives; with `onMessage`, that decides. */
function pumpTo(connection: TestConnection, changes: Changes = {}): TestPump {
  const { capacity = 5 } = changes;
  const received: Received[] = [];
  const lost: string[] = [];
  const obstacles: (string | null)[] = [];
  const pump = startPump(connection, {
    source: SOURCE,
    durable: DURABLE,
    consumerCreated: createdTimes.get(connection) ?? "",
    position: () => null,
    acks: true,
    pumps: () => 1,
    maxAckPending: 100,
    held: 0,
    onUsable: (obstacle) => obstacles.push(obstacle),
    onLost: (reason) => lost.push(reason),
    logger: connection.logger,
    ...changes,
    capacity: typeof capacity === "number" ? exactly(capacity) : capacity,
    onMessage: (message) => {
      received.push(message);
      changes.onMessage?.(message);
    },
  });
  return { ...pump, received, lost, obstacles, [Symbol.asyncDispose]: pump.stop };
}

/** Acks and releases each at once. */
function ackingPump(connection: TestConnection, changes: Changes = {}): TestPump {
  const pump: TestPump = pumpTo(connection, {
    ...changes,
    onMessage: (message) => {
      message.ack();
      queueMicrotask(() => pump.release());
    },
  });
  return pump;
}

function bodies(pump: TestPump): string[] {
  return pump.received.map(({ message }) => Buffer.from(message.body).toString());
}

/** The first pull that runs out does so without a word, as with nats-server 2.9.10 that has a message just then. */
function withoutFirstTimeout(connection: TestConnection): TestConnection & { readonly swallowed: number } {
  let swallowed = 0;
  function client() {
    const real = connection.client();
    if (real === null) return null;
    return new Proxy(real, {
      get(target, name) {
        const own = Reflect.get(target, name, target) as unknown;
        if (name !== "subscribe") return typeof own === "function" ? (own.bind(target) as unknown) : own;
        return (subject: string, options: SubscriptionOptions) =>
          target.subscribe(subject, {
            ...options,
            callback: (error, msg) => {
              if (msg.headers?.code === 408 && swallowed === 0) swallowed += 1;
              else void options.callback?.(error, msg);
            },
          });
      },
    });
  }
  return Object.defineProperties({} as TestConnection & { readonly swallowed: number }, {
    ...Object.getOwnPropertyDescriptors(connection),
    client: { value: client },
    swallowed: { get: () => swallowed },
  });
}

async function serverWith(count: number, configText = ""): Promise<NatsServer> {
  const server = await startNatsServer({ configText });
  const client = await server.connect();
  await addStream(client);
  await publishMany(client, "orders.new", count);
  return server;
}

describe("startPump()", () => {
  test("startPump() delivers up to its capacity, then one message for each release", async () => {
    await using server = await serverWith(20);
    await using connection = await connected(server.url);
    await align(connection);
    await using pump = pumpTo(connection, { capacity: 3 });
    await eventually(() => pump.received.length === 3);
    expect(pump.stats()).toMatchObject({ held: 3, capacity: 3, pulls: 1, outstanding: 0 });
    pump.received[0]?.ack();
    pump.release();
    await eventually(() => pump.received.length === 4);
    pump.setCapacity(exactly(10));
    await eventually(() => pump.received.length === 11);
    expect(bodies(pump)).toEqual(Array.from({ length: 11 }, (_, i) => String(i + 1)));
    expect(pump.received.at(-1)?.pending).toBe(9);
    const [first] = pump.received;
    expect(first?.message).toMatchObject({
      stream: "ORDERS",
      sequence: 1,
      subject: "orders.new",
      deliveryCount: 1,
    });
    const ageMs = Date.now() - Number((first?.message.timestampNanos ?? 0n) / 1_000_000n);
    expect(ageMs).toBeLessThan(60_000);
  });

  test("startPump() delivers a whole stream, each message once, and leaves nothing pending", async () => {
    await using server = await serverWith(500);
    await using connection = await connected(server.url);
    await align(connection);
    await using pump = ackingPump(connection, { capacity: 50 });
    await eventually(() => pump.received.length === 500);
    await connection.flush(1000);
    await eventually(async () => (await readConsumer(connection, REF))?.ackFloor === 500);
    expect(new Set(bodies(pump)).size).toBe(500);
  });

  test("startPump() continues after a kill and restart of the server", async () => {
    await using server = await serverWith(100);
    await using connection = await connected(server.url);
    await align(connection, { ackWaitMs: 1000 });
    const restarts: Promise<void>[] = [];
    await using pump: TestPump = pumpTo(connection, {
      onMessage: (message) => {
        if (message.message.sequence === 40 && restarts.length === 0) restarts.push(server.restart());
        setTimeout(() => {
          message.ack();
          pump.release();
        }, 2);
      },
    });
    await eventually(() => new Set(bodies(pump)).size === 100, { withinMs: 15_000 });
    await Promise.all(restarts);
    await eventually(async () => (await readConsumer(connection, REF))?.ackFloor === 100);
    expect(pump.lost).toEqual([]);
  }, 30_000);

  test("startPump() delivers nothing of another consumer with that name after a lost connection", async () => {
    await using server = await serverWith(3);
    const client = await server.connect();
    await using connection = await connected(server.url);
    await align(connection);
    await using pump = ackingPump(connection, { consumerCreated: new Date(0).toISOString() });
    await eventually(async () => (await readConsumer(connection, REF))?.ackFloor === 3);
    const cut = connection.client();
    const closing = cut?.close();
    await publishMany(client, "orders.new", 2);
    await closing;
    await eventually(() => connection.isConnected && connection.client() !== cut);
    await eventually(() => pump.lost.length === 1);
    expect(pump.lost).toEqual(["it was re-created"]);
    expect(pump.received.length).toBe(3);
  });

  test("ack() while the server is away is sent later: no message comes twice", async () => {
    await using server = await serverWith(5);
    await using connection = await connected(server.url);
    await align(connection, { ackWaitMs: 5000 });
    await using pump = pumpTo(connection);
    await eventually(() => pump.received.length === 5);
    await server.kill();
    await eventually(() => !connection.isConnected);
    for (const message of pump.received) message.ack();
    await server.restart();
    await eventually(async () => {
      const reading = await readConsumer(connection, REF);
      return reading?.ackFloor === 5 && reading.ackPending === 0;
    });
    expect(pump.received.length).toBe(5);
  });

  test.each([
    ["the consumer", (server: NatsServer) => deleteIn(server, "consumer")],
    ["the stream", (server: NatsServer) => deleteIn(server, "stream")],
  ])("startPump() reports once that somebody deleted %s", async (_, remove) => {
    await using server = await serverWith(1);
    await using connection = await connected(server.url);
    await align(connection);
    await using pump = ackingPump(connection);
    await eventually(() => pump.received.length === 1 && pump.stats().outstanding > 0);
    await remove(server);
    await eventually(() => pump.lost.length === 1);
    expect(pump.lost[0]).toMatch(/deleted/);
    await pump.stop();
    expect(pump.lost.length).toBe(1);
  });

  test("startPump() reports a consumer that never existed", async () => {
    await using server = await serverWith(1);
    await using connection = await connected(server.url);
    await using pump = pumpTo(connection);
    await eventually(() => pump.lost.length === 1, { withinMs: 15_000 });
    expect(pump.lost).toEqual(["consumer not found"]);
  }, 20_000);

  test("startPump() survives an exception in onMessage", async () => {
    await using server = await serverWith(3);
    await using connection = await connected(server.url);
    await align(connection);
    await using pump = pumpTo(connection, {
      onMessage: () => {
        throw new Error("no");
      },
    });
    await eventually(() => pump.received.length === 3);
    expect(connection.logger.lines.filter(({ level }) => level === "error").length).toBe(3);
  });

  test("startPump() receives messages of 8 MB without becoming a slow consumer", async () => {
    await using server = await serverWith(0, "max_payload: 8MB, max_pending: 24MB");
    const client = await server.connect();
    const body = new Uint8Array(8 * 1024 * 1024 - 64);
    for (let i = 0; i < 12; i += 1) await client.request("orders.new", body, { timeout: 5000 });
    await using connection = await connected(server.url);
    await align(connection);
    await using pump = ackingPump(connection, { capacity: 50 });
    await eventually(() => pump.received.length === 12);
    expect(connection.status().reconnects).toBe(0);
  }, 20_000);

  test("startPump() receives a message above max_bytes of its pulls", async () => {
    await using server = await serverWith(2, "max_payload: 24MB");
    const client = await server.connect();
    await client.request("orders.new", new Uint8Array(20 * 1024 * 1024), { timeout: 5000 });
    await publishMany(client, "orders.new", 2);
    await using connection = await connected(server.url);
    await align(connection);
    await using pump = ackingPump(connection);
    await eventually(() => pump.received.length === 5);
    expect(pump.received.map(({ message }) => message.sequence)).toEqual([1, 2, 3, 4, 5]);
  }, 20_000);

  test("startPump() continues at once after a pull whose bytes are used up exactly, which has no status", async () => {
    await using server = await serverWith(9);
    await using connection = await connected(server.url);
    const manager = await jetstreamManager(await server.connect());
    await align(connection);
    const bytes = "orders.new".length + "$JS.ACK.ORDERS.relay-billing.1.1.1.1234567890123456789.8".length + 1;
    await manager.consumers.update("ORDERS", DURABLE, { max_bytes: 2 * bytes });
    await using pump = ackingPump(connection);
    await eventually(() => pump.received.length === 9);
    expect(pump.received[0]?.bytes).toBe(bytes);
    expect(pump.stats()).toMatchObject({ silences: 0 });
  });

  test("stop() delivers nothing more; unacknowledged messages are delivered again later", async () => {
    await using server = await serverWith(5);
    await using connection = await connected(server.url);
    await align(connection);
    await using pump = pumpTo(connection, { capacity: 2 });
    await eventually(() => pump.received.length === 2);
    await pump.stop();
    for (const message of pump.received) message.nak();
    pump.release();
    await using next = pumpTo(connection);
    await eventually(() => next.received.length === 5);
    expect(pump.received.length).toBe(2);
    expect(next.received.find(({ message }) => message.sequence === 1)?.message.deliveryCount).toBe(2);
  });

  test("stop() without acks waits for its pull, and delivers what is published meanwhile", async () => {
    await using server = await serverWith(0);
    const client = await server.connect();
    await using connection = await connected(server.url);
    await align(connection, { acks: false });
    await using pump = pumpTo(connection, { acks: false });
    await eventually(() => pump.stats().pulls === 2);
    const stopped = pump.stop();
    await publishMany(client, "orders.new", 3);
    await stopped;
    expect(bodies(pump)).toEqual(["1", "2", "3"]);
    await publishMany(client, "orders.new", 1);
    expect((await readConsumer(connection, REF))?.deliveredSequence).toBe(3);
  });

  test.each([{ acks: true }, { acks: false }])(
    "startPump() pulls again when the end of a pull is not told: %p",
    async ({ acks }) => {
      await using server = await serverWith(0);
      const client = await server.connect();
      await using connection = await connected(server.url);
      const { consumerCreated } = await align(connection, { acks });
      const deaf = withoutFirstTimeout(connection);
      await using pump = pumpTo(deaf, { acks, consumerCreated, source: { ...SOURCE, ackWaitMs: 1000 } });
      await eventually(() => deaf.swallowed === 1);
      await publishMany(client, "orders.new", 1);
      await eventually(() => pump.received.length === 1);
      expect(pump.stats()).toMatchObject({ pulls: 2, silences: 1 });
    },
  );

  test("startPump() without acks keeps to its capacity after a blocked event loop", async () => {
    await using server = await serverWith(0);
    await using connection = await connected(server.url);
    await align(connection, { acks: false });
    await using pump = pumpTo(connection, { acks: false });
    await eventually(() => pump.stats().pulls === 1);
    const publish = `
      import { connect } from "@nats-io/transport-node";
      const client = await connect({ servers: "${server.url}" });
      for (let n = 1; n <= 10; n += 1) client.publish("orders.new", String(n));
      await client.drain();
      await Bun.sleep(1600);`;
    const child = Bun.spawnSync([process.execPath, "-e", publish], {
      cwd: import.meta.dirname,
      stderr: "inherit",
    });
    expect(child.exitCode).toBe(0);
    await eventually(() => pump.received.length >= 5);
    await pump.stop();
    expect(bodies(pump)).toEqual(["1", "2", "3", "4", "5"]);
  });

  // It asked for as many as were free, and waited for them: 48 messages a second where 423 were possible.
  test.each<[what: string, roundTripMs: number, pulls: number]>([
    ["far away it asks ahead", 150, 30],
    ["near by it holds what it can work on", 0, 400],
  ])(
    "startPump() without acks: %s, and never holds more than its capacity",
    async (_, roundTripMs, pulls) => {
      await using server = await serverWith(400);
      await using link = await startSlowLink(server.port, roundTripMs);
      await using connection = await connected(link.url);
      await align(connection, { acks: false });
      const capacity = { usual: 10, most: 100 };
      let held = 0;
      let mostHeld = 0;
      // 10 at a time, 10 ms each.
      const slots = createLimiter(10, { lines: 1 });
      await using pump = pumpTo(connection, {
        acks: false,
        capacity,
        onMessage: () => {
          mostHeld = Math.max(mostHeld, (held += 1));
          void (async () => {
            await slots.acquire(new AbortController().signal, 0);
            await Bun.sleep(10);
            slots.release();
            held -= 1;
            pump.release();
          })();
        },
      });
      await eventually(() => pump.received.length === 400);
      expect(bodies(pump)).toEqual(Array.from({ length: 400 }, (_, i) => String(i + 1)));
      expect(mostHeld).toBeLessThanOrEqual(capacity.most);
      expect(pump.stats().pulls).toBeLessThan(pulls);
    },
  );

  test("startPump() continues within seconds after a leader of the cluster steps down", async () => {
    await using cluster = await startNatsCluster();
    const [first] = cluster.servers;
    if (first === undefined) throw new Error("no server");
    const client = await first.connect();
    await eventually(() => addStream(client, { num_replicas: 3 }).then(() => true));
    await using connection = await connected(cluster.urls);
    await align(connection);
    await using pump = ackingPump(connection);
    await publishMany(client, "orders.new", 5);
    await eventually(() => pump.received.length === 5);
    await client.request("$JS.API.CONSUMER.LEADER.STEPDOWN.ORDERS.relay-billing", "", { timeout: 2000 });
    await client.request("$JS.API.STREAM.LEADER.STEPDOWN.ORDERS", "", { timeout: 2000 });
    await eventually(() => publishMany(client, "orders.new", 1).then(() => true));
    await eventually(() => pump.received.length >= 6, { withinMs: 8000 });
    expect(pump.lost).toEqual([]);
  }, 30_000);

  test("startPump() reads a stream of another domain over a leaf node", async () => {
    await using hub = await startNatsServer({
      domain: "hub",
      configText: `leafnodes { listen: "127.0.0.1:-1" }`,
    });
    const leafPort = await leafNodePort(hub);
    await using edge = await startNatsServer({
      domain: "edge",
      configText: `leafnodes { remotes: [ { url: "nats://127.0.0.1:${leafPort}" } ] }`,
    });
    const client = await hub.connect();
    await addStream(client);
    await publishMany(client, "orders.new", 3);
    await using connection = await connected(edge.url);
    await eventually(() => align(connection, { domain: "hub" }));
    await using pump = ackingPump(connection, {
      source: { domain: "hub", stream: "ORDERS", ackWaitMs: 30_000 },
    });
    await eventually(() => pump.received.length === 3);
    expect(await pump.received[2]?.confirmAck(AbortSignal.timeout(2000))).toBe(true);
    expect((await readConsumer(connection, { ...REF, domain: "hub" }))?.ackFloor).toBe(3);
  }, 20_000);
});

describe("toReceived()", () => {
  test("confirmAck() is true once the server has it, false without a server or when its signal aborts", async () => {
    await using server = await serverWith(2);
    await using connection = await connected(server.url);
    await align(connection);
    await using pump = pumpTo(connection);
    await eventually(() => pump.received.length === 2);
    const [one, two] = pump.received;
    expect(await one?.confirmAck(AbortSignal.timeout(2000))).toBe(true);
    expect((await readConsumer(connection, REF))?.ackFloor).toBe(1);
    expect(await two?.confirmAck(AbortSignal.abort())).toBe(false);
    await server.kill();
    expect(await two?.confirmAck(AbortSignal.timeout(2000))).toBe(false);
  });

  test("working() extends the ack wait", async () => {
    await using server = await serverWith(1);
    await using connection = await connected(server.url);
    await align(connection, { ackWaitMs: 500 });
    await using pump = pumpTo(connection);
    await eventually(() => pump.received.length === 1);
    const beat = setInterval(() => pump.received[0]?.working(), 100);
    const until = performance.now() + 1500;
    await eventually(() => performance.now() > until);
    clearInterval(beat);
    expect(pump.received.length).toBe(1);
    await eventually(() => pump.received.length === 2);
  });

  test("toReceived() keeps order, case and repetition of headers; an unreadable one affects no other", async () => {
    await using server = await serverWith(0);
    const client = await server.connect();
    const block = headers();
    block.append("b-Key", "1");
    block.append("A-key", "é");
    block.append("b-Key", "2");
    client.publish("orders.new", "good", { headers: block });
    await client.flush();
    await publishRaw(server.port, "orders.bad", {
      headerLine: "a key with spaces: 1\r\nKey: 2",
      body: "bad",
    });
    const lookalike = "NATS/1.0\r\nbad key: 1\r\nKey: 2\r\n\r\n";
    client.publish("orders.new", lookalike);
    client.publish("orders.new");
    await client.flush();
    await using connection = await connected(server.url);
    await align(connection);
    await using pump = pumpTo(connection);
    await eventually(() => pump.received.length === 4);
    const [good, bad, ...plain] = pump.received.map(({ message }) => message);
    expect(good?.headers).toEqual([
      ["b-Key", "1"],
      ["b-Key", "2"],
      ["A-key", "é"],
    ]);
    expect(good?.unreadableHeaders).toBe(0);
    expect(bad).toMatchObject({ headers: [["Key", "2"]], unreadableHeaders: 1 });
    for (const message of plain) expect(message).toMatchObject({ headers: [], unreadableHeaders: 0 });
    expect(bodies(pump)).toEqual(["good", "bad", lookalike, ""]);
  });
});

async function deleteIn(server: NatsServer, what: "consumer" | "stream"): Promise<void> {
  const manager = await jetstreamManager(await server.connect());
  if (what === "stream") await manager.streams.delete("ORDERS");
  else await removeConsumer(manager, { stream: "ORDERS", durable: DURABLE });
}

/** The client library would refuse to send it. */
async function publishRaw(
  port: number,
  subject: string,
  { headerLine, body }: { headerLine: string; body: string },
): Promise<void> {
  const block = `NATS/1.0\r\n${headerLine}\r\n\r\n`;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connectSocket({ port, host: "127.0.0.1" });
  socket.once("error", reject);
  socket.on("data", (chunk) => {
    if (chunk.includes("PONG")) resolve();
  });
  socket.write(`CONNECT {"verbose":false,"headers":true,"protocol":1}\r\n`);
  socket.write(
    `HPUB ${subject} ${block.length} ${block.length + body.length}\r\n${block}${body}\r\nPING\r\n`,
  );
  await promise.finally(() => socket.destroy());
}

async function leafNodePort(hub: NatsServer): Promise<string> {
  return eventually(async () => {
    const log = await Bun.file(`${hub.directory}/log`).text();
    return /leafnode connections on 127\.0\.0\.1:(\d+)/i.exec(log)?.[1];
  });
}

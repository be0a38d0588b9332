// How far behind consumers are, as the server says it: asked for seldom, and forgotten when it is old.

import { afterEach, describe, expect, setSystemTime, test } from "bun:test";

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";

import type { Subscription } from "#delivery/subscription.ts";
import { alignConsumer } from "#consumer/consumer.ts";
import { toConsumerSettings } from "#consumer/config.ts";
import { addSample, growthOf, type Lag, LAG_PACE, type LagPace, watchLag } from "#consumer/lag.ts";

import { eventually } from "../support/eventually.ts";
import { fetchNatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream, connected, publishMany, type TestConnection, removeConsumer } from "../support/nats.ts";
import { subscription } from "../inspect/inspections.ts";

afterEach(() => {
  setSystemTime();
});

const QUICK: LagPace = { firstMs: 0, intervalMs: 50, maxAgeMs: 60_000 };

function watch(
  connection: TestConnection,
  subscriptions: readonly Subscription[],
  pace: Partial<LagPace> = {},
): Lag & Disposable {
  const lag = watchLag(connection, {
    subscriptions: () => subscriptions,
    logger: connection.logger,
    pace: { ...QUICK, ...pace },
  });
  return { ...lag, [Symbol.dispose]: lag.close };
}

async function makeConsumers(connection: TestConnection, all: readonly Subscription[]): Promise<void> {
  for (const one of all) await alignConsumer(connection, toConsumerSettings(one));
}

/** Requests to the JetStream API from now on, without those of `client` itself. */
async function watchRequests(client: NatsConnection): Promise<string[]> {
  const requests: string[] = [];
  client.subscribe("$JS.API.>", { callback: (_, msg) => void requests.push(msg.subject) });
  await client.flush();
  return requests;
}

const many = (count: number, stream = "ORDERS") =>
  Array.from({ length: count }, (_, index) => subscription({ id: `${stream}-${index}`, stream }));

describe("watchLag()", () => {
  test("watchLag() counts messages not delivered, not acknowledged, and redelivered", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client);
    await using connection = await connected(server.url);
    const [own, filtered] = [
      subscription({ id: "own" }),
      subscription({ id: "filtered", filterSubjects: ["orders.x"] }),
    ];
    await makeConsumers(connection, [own, filtered]);
    await publishMany(client, "orders.a", 10);
    using lag = watch(connection, [own, filtered]);
    expect(lag.of(own)).toBeNull();
    await eventually(() => lag.of(own)?.pending === 10);
    expect(lag.of(filtered)).toEqual({ pending: 0, ackPending: 0, redelivered: 0, growth: null });
    const consumer = await jetstream(client).consumers.get("ORDERS", "relay-own");
    const held = await consumer.next();
    await eventually(() => lag.of(own)?.ackPending === 1);
    expect(lag.of(own)).toEqual({ pending: 9, ackPending: 1, redelivered: 0, growth: null });
    held?.nak();
    await eventually(async () => (await consumer.next())?.redelivered);
    await eventually(() => lag.of(own)?.redelivered === 1);
    expect(lag.of(subscription({ id: "unknown" }))).toBeNull();
    expect(lag.of(subscription({ id: "own", stream: "OTHER" }))).toBeNull();
  });

  test("follow() reports each listed state of its consumer until it ends", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client);
    await using connection = await connected(server.url);
    const own = subscription({ id: "own" });
    await makeConsumers(connection, [own, subscription({ id: "other" })]);
    using lag = watch(connection, [own]);
    const pending: number[] = [];
    const unfollow = lag.follow({ domain: null, stream: "ORDERS", durable: "relay-own" }, (reading) =>
      pending.push(reading.pending),
    );
    await eventually(() => pending.at(-1) === 0);
    await publishMany(client, "orders.a", 3);
    await eventually(() => pending.at(-1) === 3);
    unfollow();
    const told = pending.length;
    await publishMany(client, "orders.a", 1);
    await eventually(() => lag.of(own)?.pending === 4);
    expect(pending).toHaveLength(told);
  });

  test("watchLag() makes one request for each stream in each round, however many subscriptions it has", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client);
    await addStream(client, { name: "BILLS", subjects: ["bills.>"] });
    await using connection = await connected(server.url);
    const all = [...many(200), ...many(20, "BILLS")];
    await makeConsumers(connection, all);
    const requests = await watchRequests(client);
    using lag = watch(connection, all, { intervalMs: 60_000 });
    await eventually(() => all.every((one) => lag.of(one) !== null));
    await client.flush();
    expect(requests.toSorted()).toEqual(["$JS.API.CONSUMER.LIST.BILLS", "$JS.API.CONSUMER.LIST.ORDERS"]);
    expect(LAG_PACE).toEqual({ firstMs: 2000, intervalMs: 15_000, maxAgeMs: 60_000 });
  });

  test("watchLag() reads all pages of a long list", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client);
    await using connection = await connected(server.url);
    const all = many(260);
    await makeConsumers(connection, all);
    using lag = watch(connection, all);
    await eventually(() => all.every((one) => lag.of(one) !== null));
  });

  test("watchLag() logs nothing about a missing stream, and reads it once it exists", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client);
    await using connection = await connected(server.url);
    const [there, late] = [subscription({ id: "there" }), subscription({ id: "late", stream: "LATE" })];
    await makeConsumers(connection, [there]);
    using lag = watch(connection, [late, there]);
    await eventually(() => lag.of(there) !== null);
    expect(lag.of(late)).toBeNull();
    await addStream(client, { name: "LATE", subjects: ["late.>"] });
    await makeConsumers(connection, [late]);
    await eventually(() => lag.of(late) !== null);
    await (await jetstreamManager(client)).streams.delete("LATE");
    await eventually(() => lag.of(late) === null);
    expect(connection.logger.lines.filter(({ level }) => level === "warn")).toEqual([]);
  });

  test("watchLag() drops old values while NATS is away, logs nothing, and continues afterwards", async () => {
    await using server = await startNatsServer();
    await addStream(await server.connect());
    await using connection = await connected(server.url);
    const own = subscription();
    await makeConsumers(connection, [own]);
    using lag = watch(connection, [own, subscription({ id: "none" })], { maxAgeMs: 300 });
    await eventually(() => lag.of(own) !== null);
    await server.kill();
    await eventually(() => lag.of(own) === null);
    expect(lag.orphans()).toEqual([]);
    await server.restart();
    await eventually(() => lag.of(own) !== null);
    expect(connection.logger.lines.filter(({ message }) => message.includes("lag"))).toEqual([]);
  });

  test("watchLag() asks nothing after close()", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client);
    await using connection = await connected(server.url);
    using lag = watch(connection, [subscription()]);
    const requests = await watchRequests(client);
    await eventually(() => requests.length > 2);
    lag.close();
    await connection.flush(1000);
    await client.flush();
    const before = requests.length;
    using other = watch(connection, many(1, "BILLS"));
    await eventually(() => requests.length >= before + 5);
    expect(new Set(requests.slice(before))).toEqual(new Set(["$JS.API.CONSUMER.LIST.BILLS"]));
    expect(other.orphans()).toEqual([]);
  });

  test("watchLag() asks once for a list without permission, and logs it once", async () => {
    await using server = await startNatsServer({
      configText: `accounts { A { jetstream: enabled, users: [
        { user: relay, password: secret123, permissions: { publish: { deny: "$JS.API.CONSUMER.LIST.ORDERS" } } },
        { user: admin, password: admin } ] } }`,
    });
    const admin = await server.connect({ user: "admin", pass: "admin" });
    await addStream(admin);
    await addStream(admin, { name: "BILLS", subjects: ["bills.>"] });
    const auth = { kind: "user", username: "relay", password: "secret123" } as const;
    await using connection = await connected(server.url, { auth });
    const requests = await watchRequests(admin);
    using lag = watch(connection, [...many(1), ...many(1, "BILLS")]);
    await eventually(() => requests.length >= 5);
    expect(new Set(requests)).toEqual(new Set(["$JS.API.CONSUMER.LIST.BILLS"]));
    expect(lag.orphans()).toEqual([]);
    const said = connection.logger.lines.filter(({ message }) => message === "Cannot read the consumer lag");
    expect(said).toHaveLength(1);
    expect(said[0]?.fields["reason"]).toStartWith(
      "Cannot list the consumers of ORDERS: Permissions Violation",
    );
  });
});

describe("orphans()", () => {
  test("orphans() lists durables of relays on these streams that no subscription uses", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client);
    await addStream(client, { name: "BILLS", subjects: ["bills.>"] });
    await publishMany(client, "orders.a", 3);
    await using connection = await connected(server.url);
    const wanted = [subscription({ id: "kept" }), subscription({ id: "moved", stream: "BILLS" })];
    await makeConsumers(connection, [
      ...wanted,
      subscription({ id: "gone" }),
      subscription({ id: "moved", stream: "ORDERS" }),
    ]);
    const manager = await jetstreamManager(client);
    await manager.consumers.add("ORDERS", { durable_name: "somebody", ack_policy: "explicit" });
    const subscriptions = [...wanted];
    using lag = watch(connection, subscriptions);
    await eventually(() => lag.orphans().length === 2);
    expect(lag.orphans()).toContainEqual({
      domain: null,
      stream: "ORDERS",
      consumer: "relay-gone",
      lag: { pending: 3, ackPending: 0, redelivered: 0, growth: null },
    });
    expect(lag.orphans().map(({ consumer }) => consumer)).toContain("relay-moved");
    subscriptions.push(subscription({ id: "gone" }));
    expect(lag.orphans().map(({ consumer }) => consumer)).toEqual(["relay-moved"]);
    await removeConsumer(manager, { stream: "ORDERS", durable: "relay-moved" });
    await eventually(() => lag.orphans().length === 0);
  });

  test.each([0, 5, -5])(
    "orphans() are none that another relay pulls from, or holds messages of, with a clock off by %d h",
    async (hours) => {
      await using server = await startNatsServer();
      const client = await server.connect();
      await addStream(client);
      await publishMany(client, "orders.a", 1);
      await using connection = await connected(server.url);
      const live = subscription({ id: "live", filterSubjects: ["orders.x"] });
      await makeConsumers(connection, [live, subscription({ id: "held" }), subscription({ id: "gone" })]);
      const inbox = client.subscribe("pulled.by.another");
      const pull = JSON.stringify({ batch: 1, expires: 60_000_000_000 });
      client.publish("$JS.API.CONSUMER.MSG.NEXT.ORDERS.relay-live", pull, { reply: "pulled.by.another" });
      const held = await (await jetstream(client).consumers.get("ORDERS", "relay-held")).next();
      setSystemTime(Date.now() + hours * 3_600_000);
      using lag = watch(connection, [subscription({ id: "own" })]);
      const names = () => lag.orphans().map(({ consumer }) => consumer);
      await eventually(() => names().length > 0);
      expect(names()).toEqual(["relay-gone"]);
      inbox.unsubscribe();
      await eventually(() => names().includes("relay-live"));
      expect(names()).not.toContain("relay-held");
      held?.ack();
      await eventually(() => names().includes("relay-held"));
    },
  );
});

describe("pausedUntil()", () => {
  test("pausedUntil() tells until when a consumer is paused on the server", async () => {
    await using server = await startNatsServer({ binary: fetchNatsServer() });
    const client = await server.connect();
    await addStream(client);
    await using connection = await connected(server.url);
    const [held, other] = [subscription({ id: "held" }), subscription({ id: "other" })];
    await makeConsumers(connection, [held, other]);
    using lag = watch(connection, [held, other]);
    await eventually(() => lag.of(held) !== null);
    expect(lag.pausedUntil(held)).toBeNull();
    const { consumers } = await jetstreamManager(client);
    const until = new Date(Date.now() + 3_600_000);
    await consumers.pause("ORDERS", "relay-held", until);
    await eventually(() => lag.pausedUntil(held)?.getTime() === until.getTime());
    expect(lag.pausedUntil(other)).toBeNull();
    await consumers.resume("ORDERS", "relay-held");
    await eventually(() => lag.pausedUntil(held) === null);
  });
});

test("growthOf() compares with 5 minutes ago; null if the consumer caught up, or is known for less than a minute", () => {
  const follow = (pendings: readonly number[]) => {
    let samples: ReturnType<typeof addSample> = [];
    let growth: number | null = null;
    for (const [index, pending] of pendings.entries()) {
      samples = addSample(samples, { num_pending: pending }, index * 30_000);
      growth = growthOf(samples, { at: index * 30_000, pending });
    }
    return growth;
  };
  expect(follow([10])).toBeNull();
  expect(follow([10, 20])).toBeNull();
  expect(follow([10, 20, 30])).toBe(20);
  expect(follow([10, 5, 4])).toBe(-6);
  expect(follow([10, 20, 0, 30, 40])).toBeNull();
  expect(follow([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])).toBe(10);
});

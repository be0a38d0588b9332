// The bucket when something is taken away from it: the server, the connection, the stream, the consumer, a permission.

import { describe, expect, test } from "bun:test";

import { type JetStreamManager, jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { headers as createHeaders } from "@nats-io/transport-node";

import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { connected, removeConsumer } from "../support/nats.ts";
import {
  consumerCount,
  on,
  openTestBucket,
  readyBucket,
  readyPair,
  storedValue,
  valueOf,
  WITHIN_A_SECOND,
} from "./buckets.ts";

/** By the stream's info: nats-server 2.9.10 dies of a request for a message of a stream that is just being made. */
async function storedCount(manager: JetStreamManager): Promise<number> {
  return (await manager.streams.info("KV_relay").catch(() => null))?.state.messages ?? 0;
}

describe("openBucket() after a loss", () => {
  test("openBucket() keeps all values over a restart of the server, and then writes those put meanwhile", async () => {
    await using server = await startNatsServer();
    await using connection = await connected(server.url);
    await using bucket = await readyBucket(connection);
    await bucket.write("subscription.a", "1", on(0));
    bucket.put("state.b", "1");
    await eventually(() => bucket.get("state.b")?.revision === 2);
    await server.kill();
    await eventually(() => !connection.isConnected);
    bucket.put("state.b", "2");
    bucket.put("state.c", "3");
    bucket.put("state.c", "4");
    bucket.remove("subscription.a");
    expect(bucket.list("").map(({ value }) => value)).toEqual(["2", "4"]);
    await server.restart();
    await eventually(() => connection.isConnected);
    const client = await server.connect();
    await eventually(async () => (await storedValue(client, "state.c")) === "4", WITHIN_A_SECOND);
    await eventually(async () => (await storedValue(client, "state.b")) === "2", WITHIN_A_SECOND);
    await eventually(async () => (await storedValue(client, "subscription.a")) === null, WITHIN_A_SECOND);
    expect(bucket.list("").map(({ value }) => value)).toEqual(["2", "4"]);
    await eventually(() => bucket.fault() === null, WITHIN_A_SECOND);
    await using later = await connected(server.url);
    await using other = await readyBucket(later);
    expect(other.list("")).toEqual([...bucket.list("")]);
  });

  test("openBucket() sees the changes and removals of a time without connection within a second", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await using here = await connected(server.url);
    await using bucket = await readyBucket(here);
    for (const key of ["a", "b", "c"]) bucket.put(key, "1");
    await eventually(() => bucket.get("c")?.revision === 3);
    const told: string[] = [];
    bucket.onChange((key, entry) => told.push(`${key} ${entry?.value ?? "removed"}`));
    const cut = here.client();
    const store = await new Kvm(client).open("relay");
    const closing = cut?.close();
    await store.put("a", "2");
    await store.delete("b");
    const manager = await jetstreamManager(client);
    await manager.streams.purge("KV_relay", { filter: "$KV.relay.c" });
    await closing;
    await eventually(() => here.isConnected && here.client() !== cut);
    await eventually(() => bucket.get("b") === null && bucket.get("c") === null, WITHIN_A_SECOND);
    expect(bucket.list("")).toEqual([{ key: "a", value: "2", revision: 4 }]);
    expect(told.sort()).toEqual(["a 2", "b removed", "c removed"]);
  });

  test("write() learns from a conflict what no change told: an entry that the server lost", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await using connection = await connected(server.url);
    await using bucket = await readyBucket(connection);
    expect(await bucket.write("seat.a", "1", on(0))).toEqual({ kind: "written", revision: 1 });
    await eventually(() => bucket.list("").length === 1);
    await (await jetstreamManager(client)).streams.deleteMessage("KV_relay", 1);
    expect(bucket.get("seat.a")?.revision).toBe(1);
    expect((await bucket.write("seat.a", "2", on(1))).kind).toBe("conflict");
    await eventually(() => bucket.get("seat.a") === null, WITHIN_A_SECOND);
    expect((await bucket.write("seat.a", "2", on(0))).kind).toBe("written");
  });

  test("openBucket() creates a deleted bucket again, with its content", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await using connection = await connected(server.url);
    await using bucket = await readyBucket(connection);
    for (let i = 0; i < 20; i += 1) bucket.put("state.a", String(i));
    bucket.put("state.b", "1");
    bucket.put("state.c", "1");
    bucket.remove("state.c");
    await eventually(() => (bucket.get("state.b")?.revision ?? 0) > 0);
    const told: string[] = [];
    bucket.onChange((key) => told.push(key));
    const manager = await jetstreamManager(client);
    await manager.streams.delete("KV_relay");
    await eventually(async () => (await storedCount(manager)) === 2);
    expect(await storedValue(client, "state.b")).toBe("1");
    expect(await storedValue(client, "state.a")).toBe("19");
    await eventually(() => bucket.get("state.b")?.revision === 2);
    expect(await bucket.write("state.b", "2", on(2))).toEqual({ kind: "written", revision: 3 });
    expect(bucket.list("").map(({ key, value }) => `${key} ${value}`)).toEqual(["state.a 19", "state.b 2"]);
    expect(told).toEqual(["state.b"]);
    const warning = connection.logger.lines.find(({ message }) =>
      message.startsWith("The bucket was deleted"),
    );
    expect(warning).toMatchObject({ level: "warn", fields: { bucket: "relay", keys: 2 } });
  });

  test("openBucket() on two relays agrees again after the bucket was deleted", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await using pair = await readyPair(server.url);
    const { one, two } = pair;
    for (let i = 0; i < 20; i += 1) (i % 2 === 0 ? one : two).put(`state.s${i}`, "PAUSED");
    const isWhole = (bucket: typeof one) =>
      bucket.list("").filter(({ value, revision }) => value === "PAUSED" && revision > 0).length === 20;
    await eventually(() => isWhole(one) && isWhole(two));
    const manager = await jetstreamManager(client);
    await manager.streams.delete("KV_relay");
    await eventually(async () => (await storedCount(manager)) === 20);
    await eventually(() => isWhole(one) && isWhole(two), { withinMs: 5000 });
  });

  test("openBucket() follows a bucket that another relay re-created, although its revisions begin again", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await using connection = await connected(server.url);
    await using bucket = await readyBucket(connection);
    for (const key of ["a", "b", "c", "d"]) await bucket.write(key, "old", on(0));
    const manager = await jetstreamManager(client);
    await manager.streams.delete("KV_relay");
    const store = await new Kvm(client).create("relay");
    await store.put("d", "new");
    bucket.put("b", "mine");
    expect(valueOf(bucket, "b")).toBe("mine");
    await eventually(() => valueOf(bucket, "d") === "new", { withinMs: 4000 });
    expect(bucket.list("").map(({ key, value }) => `${key} ${value}`)).toEqual(["b mine", "d new"]);
    await store.put("b", "theirs");
    await eventually(() => valueOf(bucket, "b") === "theirs", WITHIN_A_SECOND);
  });

  test("openBucket() replaces a deleted consumer", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await using connection = await connected(server.url);
    await using bucket = await readyBucket(connection);
    const manager = await jetstreamManager(client);
    for await (const { name } of manager.consumers.list("KV_relay")) {
      await removeConsumer(manager, { stream: "KV_relay", durable: name });
    }
    const store = await new Kvm(client).open("relay");
    await store.put("a", "1");
    await eventually(() => valueOf(bucket, "a") === "1");
    expect(bucket.fault()).toBeNull();
  });

  test("openBucket() reads everything again when a heartbeat reports missing messages", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await using connection = await connected(server.url);
    await using bucket = await readyBucket(connection);
    await bucket.write("a", "1", on(0));
    const manager = await jetstreamManager(client);
    const [consumer] = await manager.consumers.list("KV_relay").next();
    const heartbeat = createHeaders(100, "Idle Heartbeat");
    heartbeat.set("Nats-Last-Consumer", "3");
    client.publish(consumer?.config.deliver_subject ?? "", "", { headers: heartbeat });
    await eventually(() =>
      connection.logger.lines.some(({ message }) => message === "Reading the bucket again"),
    );
    expect(bucket.list("")).toHaveLength(1);
    await eventually(async () => (await consumerCount(client)) === 1);
    await bucket.write("a", "2", on(1));
    await eventually(() => bucket.get("a")?.revision === 2);
  });

  test("openBucket() deletes old delete markers, and loses no key with them", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await using pair = await readyPair(server.url);
    const { one, two } = pair;
    await one.write("kept", "1", on(0));
    for (let i = 0; i < 600; i += 1) {
      one.put(`s${i}`, "1");
      one.remove(`s${i}`);
    }
    const manager = await jetstreamManager(client);
    const count = async () => (await manager.streams.info("KV_relay")).state;
    await eventually(async () => {
      const { last_seq: last, messages } = await count();
      return last >= 601 && messages <= 501;
    });
    expect(await two.write("s0", "2", on(0))).toMatchObject({ kind: "written" });
    await eventually(() => valueOf(one, "s0") === "2", WITHIN_A_SECOND);
    expect(one.list("").map(({ key }) => key)).toEqual(["kept", "s0"]);
    expect(two.list("").map(({ key }) => key)).toEqual(["kept", "s0"]);
  });
});

describe("fault()", () => {
  const USERS = (permissions: string) => `authorization { users: [
    { user: relay, password: hunter22, permissions: { publish: { deny: [${permissions}] } } }
    { user: admin, password: admin } ] }`;
  const AUTH = { auth: { kind: "user", username: "relay", password: "hunter22" } } as const;

  test.each([
    [
      "reading",
      "$JS.API.CONSUMER.CREATE.KV_relay.>",
      "$JS.API.CONSUMER.CREATE.KV_relay.mirror-*.$KV.relay.>",
    ],
    ["making the bucket", "$JS.API.STREAM.CREATE.>", "$JS.API.STREAM.CREATE.KV_relay"],
  ])("fault() names a missing permission for %s, until it is granted", async (_, denied, named) => {
    await using server = await startNatsServer({ configText: USERS(`"${denied}"`) });
    await using connection = await connected(server.url, AUTH);
    await using bucket = openTestBucket(connection);
    await eventually(() => bucket.fault()?.includes(`"${named}"`));
    await eventually(() =>
      connection.logger.lines.some(({ message }) => message === "Cannot use the bucket"),
    );
    expect(await bucket.ready(AbortSignal.timeout(100))).toBe(false);
    await server.restart(USERS(""));
    expect(await bucket.ready(AbortSignal.timeout(10_000))).toBe(true);
    expect(bucket.fault()).toBeNull();
    const messages = connection.logger.lines.map(({ message }) => message);
    expect(messages.filter((message) => message === "Cannot use the bucket")).toHaveLength(1);
    expect(messages.filter((message) => message === "The bucket can be used again")).toHaveLength(1);
  });

  test("fault() reports that writing is impossible; pending changes are written once it is possible", async () => {
    await using server = await startNatsServer({ configText: USERS('"$KV.>"') });
    await using connection = await connected(server.url, AUTH);
    await using bucket = await readyBucket(connection);
    bucket.put("state.a", "1");
    await eventually(() => bucket.fault()?.includes("ermissions"));
    expect(await bucket.write("state.b", "1", on(0))).toMatchObject({ kind: "refused" });
    await server.restart(USERS(""));
    await eventually(() => bucket.get("state.a")?.revision === 1 && bucket.fault() === null);
  });

  test("fault() reports missing JetStream, or missing space", async () => {
    await using bare = await startNatsServer({ jetstream: false });
    await using connection = await connected(bare.url);
    await using bucket = openTestBucket(connection);
    await eventually(() => bucket.fault() === "JetStream does not answer");
    await using server = await startNatsServer();
    const client = await server.connect();
    const store = await new Kvm(client).create("relay", { max_bytes: 1000 });
    await using full = await connected(server.url);
    await using small = await readyBucket(full);
    small.put("a", "x".repeat(2000));
    small.put("b", "2");
    await eventually(() => small.fault()?.includes("maximum bytes"));
    small.put("a", "1");
    await eventually(() => small.fault() === null && small.get("b")?.revision !== 0);
    expect((await store.get("a"))?.string()).toBe("1");
  });

  test("fault() reports a sealed bucket; each change is tried once, and again after the next complete read", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await using connection = await connected(server.url);
    await using bucket = await readyBucket(connection);
    const manager = await jetstreamManager(client);
    await manager.streams.update("KV_relay", { sealed: true } as Partial<StreamConfig>);
    const tried: string[] = [];
    client.subscribe("$KV.relay.>", { callback: (_, { subject }) => void tried.push(subject.slice(10)) });
    await client.flush();
    for (const key of ["a", "b", "c"]) {
      bucket.put(key, "1");
      await eventually(() => tried.includes(key));
    }
    await eventually(() => bucket.fault() === "invalid operation on sealed stream");
    expect(tried).toEqual(["a", "b", "c"]);
    expect(bucket.list("").map(({ key }) => key)).toEqual(["a", "b", "c"]);
    await manager.streams.delete("KV_relay");
    await eventually(() => bucket.fault() === null && bucket.get("c")?.revision !== 0);
  });

  test("fault() reports a value that the bucket will never accept; other values are written", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await new Kvm(client).create("relay", { maxValueSize: 500 });
    await using connection = await connected(server.url);
    await using bucket = await readyBucket(connection);
    bucket.put("large", "x".repeat(1000));
    bucket.put("small", "1");
    await eventually(() => bucket.get("small")?.revision === 1, WITHIN_A_SECOND);
    await eventually(() => bucket.fault()?.includes("maximum allowed"), WITHIN_A_SECOND);
    expect(await bucket.write("large", "x".repeat(1000), on(0))).toMatchObject({ kind: "refused" });
    bucket.remove("large");
    await eventually(() => bucket.fault() === null);
  });
});

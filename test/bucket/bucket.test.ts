// The bucket on a real server: made, read, changed by two relays that see each other, and closed.

import { describe, expect, test } from "bun:test";

import { readdir, readFile } from "node:fs/promises";

import { Kvm } from "@nats-io/kv";

import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { connected, openTestConnection } from "../support/nats.ts";
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

describe("openBucket()", () => {
  test("openBucket() creates a bucket that NATS's KV clients can use, and changes no existing one", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await using connection = await connected(server.url);
    await using _ = await readyBucket(connection);
    const { streamInfo } = await (await new Kvm(client).open("relay")).status();
    expect(streamInfo.config).toMatchObject({
      subjects: ["$KV.relay.>"],
      storage: "file",
      discard: "new",
      max_msgs_per_subject: 1,
      num_replicas: 1,
      allow_rollup_hdrs: true,
    });
    await new Kvm(client).create("other", { history: 5, storage: "memory" });
    await using other = openTestBucket(connection, { name: "other" });
    await other.ready(AbortSignal.timeout(5000));
    other.put("a", "1");
    const { history, storage } = await (await new Kvm(client).open("other")).status();
    expect({ history, storage }).toEqual({ history: 5, storage: "memory" });
  });

  test("openBucket() asks for the number of replicas only to create the bucket", async () => {
    await using server = await startNatsServer();
    await using connection = await connected(server.url);
    let asked = 0;
    const replicas = () => {
      asked += 1;
      return asked === 1 ? Promise.reject(new Error("not yet")) : Promise.resolve(1);
    };
    await using bucket = openTestBucket(connection, { replicas });
    expect(await bucket.ready(AbortSignal.timeout(5000))).toBe(true);
    expect(asked).toBe(2);
    await using again = openTestBucket(connection, { replicas });
    expect(await again.ready(AbortSignal.timeout(5000))).toBe(true);
    expect(asked).toBe(2);
  });

  test("openBucket() reads all existing keys at once, without deleted ones", async () => {
    await using server = await startNatsServer();
    const store = await new Kvm(await server.connect()).create("relay");
    for (let i = 0; i < 300; i += 1) await store.put(`state.s${i}`, String(i));
    await store.delete("state.s7");
    await store.purge("state.s8");
    await using connection = await connected(server.url);
    const bucket = await readyBucket(connection);
    const told: string[] = [];
    bucket.onChange((key) => told.push(key));
    expect(bucket.list("state.")).toHaveLength(298);
    expect(bucket.get("state.s9")).toEqual({ key: "state.s9", value: "9", revision: 10 });
    expect(bucket.get("state.s7")).toBeNull();
    expect(bucket.list("subscription.")).toEqual([]);
    expect(told).toEqual([]);
    await bucket.close();
  });

  test("openBucket() answers flow control while it reads a large bucket", async () => {
    await using server = await startNatsServer();
    const store = await new Kvm(await server.connect()).create("relay");
    for (let i = 0; i < 40; i += 1) await store.put(`s${i}`, "x".repeat(250_000));
    await using connection = await connected(server.url);
    await using bucket = await readyBucket(connection);
    expect(bucket.list("s")).toHaveLength(40);
  });
});

describe("put()", () => {
  test("put() and remove() are visible here at once, on another relay within a second, and notify once", async () => {
    await using server = await startNatsServer();
    await using pair = await readyPair(server.url);
    const { one, two } = pair;
    const told: (string | null)[] = [];
    one.onChange((_, entry) => told.push(entry?.value ?? null));
    const seen: (string | null)[] = [];
    two.onChange((_, entry) => seen.push(entry?.value ?? null));
    one.put("state.a", "1");
    expect(one.get("state.a")).toEqual({ key: "state.a", value: "1", revision: 0 });
    await eventually(() => valueOf(two, "state.a") === "1", WITHIN_A_SECOND);
    await eventually(() => one.get("state.a")?.revision === 1, WITHIN_A_SECOND);
    two.remove("state.a");
    expect(two.get("state.a")).toBeNull();
    await eventually(() => one.get("state.a") === null, WITHIN_A_SECOND);
    one.put("state.a", "2");
    await eventually(() => two.get("state.a")?.revision === 3, WITHIN_A_SECOND);
    await eventually(() => one.get("state.a")?.revision === 3, WITHIN_A_SECOND);
    expect(told).toEqual(["1", null, "2"]);
    expect(seen).toEqual(["1", null, "2"]);
  });

  test("put() of many values of one key leaves the last one, on every relay", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await using pair = await readyPair(server.url);
    const { here, one, two } = pair;
    for (let i = 1; i <= 50; i += 1) {
      one.put("state.a", String(i));
      await here.flush(1000);
    }
    expect(valueOf(one, "state.a")).toBe("50");
    await eventually(() => valueOf(two, "state.a") === "50", WITHIN_A_SECOND);
    expect(await storedValue(client, "state.a")).toBe("50");
    expect(valueOf(one, "state.a")).toBe("50");
  });

  test("put() ignores an invalid change, and logs it", async () => {
    await using server = await startNatsServer();
    await using connection = await connected(server.url);
    await using bucket = await readyBucket(connection);
    const tooLarge = "é".repeat(131_073);
    bucket.put("state.a", tooLarge);
    bucket.put("state.*", "1");
    bucket.put(".state", "1");
    expect(bucket.list("")).toEqual([]);
    const reasons = connection.logger.lines.filter(({ level }) => level === "error").map((l) => l.fields);
    expect(reasons).toMatchObject([
      { key: "state.a", reason: "value larger than 256 KiB" },
      { key: "state.*", reason: "impossible key" },
      { key: ".state", reason: "impossible key" },
    ]);
    expect(await bucket.write("state.a", tooLarge, on(0))).toMatchObject({ kind: "refused" });
    bucket.put("state.a", "é".repeat(131_072));
    await eventually(() => bucket.get("state.a")?.revision === 1, WITHIN_A_SECOND);
  });

  test("put() is written once a server appears", async () => {
    await using server = await startNatsServer();
    await server.kill();
    await using connection = openTestConnection(server.url);
    await using bucket = openTestBucket(connection);
    bucket.put("state.a", "1");
    expect(valueOf(bucket, "state.a")).toBe("1");
    expect(bucket.fault()).toBe("not connected to NATS");
    expect(await bucket.ready(AbortSignal.timeout(50))).toBe(false);
    expect(await bucket.write("x", "1", on(0))).toEqual({
      kind: "unavailable",
      reason: "not connected to NATS",
    });
    await server.restart();
    expect(await bucket.ready(AbortSignal.timeout(10_000))).toBe(true);
    await eventually(() => bucket.get("state.a")?.revision === 1, WITHIN_A_SECOND);
    expect(bucket.fault()).toBeNull();
    expect(connection.logger.lines.filter(({ fields }) => "reason" in fields && "bucket" in fields)).toEqual(
      [],
    );
  });
});

describe("write()", () => {
  test("write() creates, changes and removes by revision, and returns the conflicting revision", async () => {
    await using server = await startNatsServer();
    await using pair = await readyPair(server.url);
    const { one, two } = pair;
    expect(await one.write("subscription.a", "1", on(0))).toEqual({ kind: "written", revision: 1 });
    expect(one.get("subscription.a")).toEqual({ key: "subscription.a", value: "1", revision: 1 });
    expect(await two.write("subscription.a", "2", on(0))).toEqual({ kind: "conflict", revision: 1 });
    expect(await two.write("subscription.a", "2", on(1))).toEqual({ kind: "written", revision: 2 });
    expect(await one.write("subscription.a", "3", on(1))).toEqual({ kind: "conflict", revision: 2 });
    expect(await one.erase("subscription.a", on(1))).toEqual({ kind: "conflict", revision: 2 });
    expect(await one.erase("subscription.a", on(2))).toEqual({ kind: "written", revision: 3 });
    expect(one.get("subscription.a")).toBeNull();
    await eventually(() => two.get("subscription.a") === null, WITHIN_A_SECOND);
    expect(await two.write("subscription.a", "4", on(2))).toEqual({ kind: "conflict", revision: null });
    expect(await two.erase("subscription.a", on(2))).toEqual({ kind: "conflict", revision: null });
    expect(await two.write("subscription.a", "5", on(0))).toEqual({ kind: "written", revision: 4 });
    await eventually(() => one.get("subscription.a")?.revision === 4, WITHIN_A_SECOND);
  });

  test("write() by two relays at once succeeds for one", async () => {
    await using server = await startNatsServer();
    await using pair = await readyPair(server.url);
    const { one, two } = pair;
    for (let i = 0; i < 20; i += 1) {
      const results = await Promise.all([one.write(`s${i}`, "1", on(0)), two.write(`s${i}`, "2", on(0))]);
      expect(results.map(({ kind }) => kind).sort()).toEqual(["conflict", "written"]);
      const winner = results[0].kind === "written" ? "1" : "2";
      await eventually(() => valueOf(one, `s${i}`) === winner && valueOf(two, `s${i}`) === winner);
    }
  });

  test("write() refuses a value above max_payload for good, and stays connected", async () => {
    await using server = await startNatsServer({ configText: "max_payload: 4096" });
    await using connection = await connected(server.url);
    await using bucket = await readyBucket(connection);
    expect(await bucket.write("a", "x".repeat(4096), on(0))).toEqual({
      kind: "refused",
      reason: "4180 bytes, of 4096 that the server takes",
    });
    expect(await bucket.write("a", "x".repeat(3900), on(0))).toMatchObject({ kind: "written" });
    expect(connection.status().reconnects).toBe(0);
  });

  test("write() gives up in time when the server hangs or its signal aborts", async () => {
    await using server = await startNatsServer();
    await using connection = await connected(server.url);
    await using bucket = await readyBucket(connection);
    server.signal("SIGSTOP");
    await eventually(() => isStopped(server.pid));
    const before = performance.now();
    const told = { expectedRevision: 0, signal: AbortSignal.timeout(100) };
    expect(await bucket.write("a", "1", told)).toEqual({ kind: "unavailable", reason: "stopped" });
    // Else it is 5 s.
    expect(performance.now() - before).toBeLessThan(4900);
    expect((await bucket.write("a", "1", on(0))).kind).toBe("unavailable");
    server.signal("SIGCONT");
  });
});

/** A signal takes a moment to reach every thread. */
async function isStopped(pid: number | null): Promise<boolean> {
  const threads = `/proc/${pid}/task`;
  const stats = (await readdir(threads)).map((thread) => readFile(`${threads}/${thread}/stat`, "utf8"));
  return (await Promise.all(stats)).every((stat) => stat.includes(") T "));
}

describe("close()", () => {
  test("close() writes pending changes, and leaves no consumer behind", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await using connection = await connected(server.url);
    const bucket = await readyBucket(connection);
    expect(await consumerCount(client)).toBe(1);
    // It has a second.
    for (let i = 0; i < 10; i += 1) bucket.put(`state.s${i}`, "1");
    await bucket.close();
    expect(await storedValue(client, "state.s9")).toBe("1");
    expect(await consumerCount(client)).toBe(0);
    expect(await bucket.ready(AbortSignal.timeout(10))).toBe(true);
    const store = await new Kvm(client).open("relay");
    await store.put("state.s0", "2");
    await connection.flush(1000);
    expect(valueOf(bucket, "state.s0")).toBe("1");
  });

  test("close() ends in time right after openBucket(), and without a server", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await using connection = await connected(server.url);
    const store = await new Kvm(client).create("relay");
    const bucket = openTestBucket(connection);
    await bucket.close();
    expect((await store.status()).streamInfo.state.consumer_count).toBe(0);
    await using absent = openTestConnection("nats://127.0.0.1:1");
    const never = openTestBucket(absent);
    never.put("state.a", "1");
    const waiting = never.ready(AbortSignal.timeout(5000));
    const before = performance.now();
    await never.close();
    expect(await waiting).toBe(false);
    expect(performance.now() - before).toBeLessThan(4000);
    expect(absent.logger.lines.at(-1)).toMatchObject({
      message: "Did not write all changes to the bucket",
      fields: { changes: 1 },
    });
  });
});

// The connection against a real server that is absent, killed, changed and started again.

import { describe, expect, test } from "bun:test";

import { startNatsCluster, startNatsServer } from "../support/nats-server.ts";
import { eventually } from "../support/eventually.ts";
import { connected, openTestConnection } from "../support/nats.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

describe("openConnection()", () => {
  test("openConnection() connects, and status() names the server", async () => {
    await using server = await startNatsServer();
    await using connection = await connected(server.url);
    expect(connection.isConnected).toBe(true);
    const status = connection.status();
    expect(status).toMatchObject({ connected: true, server: `127.0.0.1:${server.port}`, lastError: null });
    expect(status.serverVersion).toMatch(/^\d+\.\d+\.\d+/);
  });

  test("openConnection() waits for a server to appear", async () => {
    await using server = await startNatsServer();
    await server.kill();
    await using connection = openTestConnection(server.url);
    await eventually(() => connection.status().lastError !== null);
    expect(connection.isConnected).toBe(false);
    expect(await connection.ready(AbortSignal.timeout(50))).toBe(false);
    await server.restart();
    expect(await connection.ready(AbortSignal.timeout(10_000))).toBe(true);
    const messages = connection.logger.lines.map(({ message }) => message);
    expect(messages).toEqual(["Waiting for NATS", "Connected to NATS"]);
  });

  test("openConnection() reconnects after a kill, logs both once, and calls its listeners", async () => {
    await using server = await startNatsServer();
    await using connection = await connected(server.url);
    let told = 0;
    const forget = connection.onReconnect(() => {
      told += 1;
    });
    await server.kill();
    await eventually(() => !connection.isConnected);
    expect(await connection.flush(100)).toBe(false);
    await server.restart();
    await eventually(() => connection.isConnected);
    await eventually(() => told > 0);
    forget();
    expect(connection.status().reconnects).toBe(1);
    const messages = connection.logger.lines.map(({ message }) => message);
    expect(messages).toEqual(["Connected to NATS", "Lost NATS", "Connected to NATS"]);
  });

  test("openConnection() connects again when the client library gives up", async () => {
    await using server = await startNatsServer();
    await using connection = await connected(server.url);
    const before = connection.client();
    await before?.close();
    await eventually(() => connection.isConnected && connection.client() !== before);
    expect(await connection.flush(1000)).toBe(true);
  });

  test("openConnection() masks credentials in the log", async () => {
    await using server = await startNatsServer({ configText: "authorization { token: hunter22 }" });
    await using connection = await connected(server.url, { auth: { kind: "token", value: "hunter22" } });
    expect(JSON.stringify(connection.logger.lines)).not.toContain("hunter22");
  });

  test("lastPongAt() follows answered pings, and stops when the server does not answer", async () => {
    await using server = await startNatsServer();
    await using connection = await connected(server.url);
    await eventually(() => connection.lastPongAt() > 0);
    const first = connection.lastPongAt();
    await eventually(() => connection.lastPongAt() > first);
    server.signal("SIGSTOP");
    await eventually(() => !connection.isConnected, { withinMs: 15_000 });
    expect(performance.now() - connection.lastPongAt()).toBeGreaterThan(4000);
    server.signal("SIGCONT");
    await eventually(() => connection.isConnected);
  }, 20_000);

  test("close() ends in time without a server, and with a server that hangs", async () => {
    await using server = await startNatsServer();
    await using never = openTestConnection("nats://127.0.0.1:1");
    await using hanging = await connected(server.url);
    server.signal("SIGSTOP");
    await Promise.all([never.close(), hanging.close()]);
    server.signal("SIGCONT");
    expect(await never.ready(AbortSignal.timeout(100))).toBe(false);
  });

  test("close() sends pending acks", async () => {
    await using server = await startNatsServer();
    const observer = await server.connect();
    const acks: string[] = [];
    observer.subscribe("$JS.ACK.>", { callback: (_, msg) => void acks.push(msg.subject) });
    await observer.flush();
    const connection = await connected(server.url);
    for (let i = 0; i < 100; i += 1) connection.publishAck(`$JS.ACK.S.c.1.${i}.1.1.0`, { isUrgent: false });
    await connection.close();
    await eventually(() => acks.length === 100);
  });
});

describe("publishAck()", () => {
  test("publishAck() forgets an ack when a later ping is answered", async () => {
    await using server = await startNatsServer();
    await using connection = await connected(server.url);
    connection.publishAck("$JS.ACK.S.c.1.1.1.1.0", { isUrgent: false });
    expect(connection.unconfirmedAcks).toBe(1);
    await eventually(() => connection.unconfirmedAcks === 0);
  });
});

// Nobody tells a client that a firewall has forgotten its connection, or that its server hangs.
describe("openConnection() with a silent server", () => {
  test("openConnection() changes to another server of the cluster, which the config need not name", async () => {
    await using cluster = await startNatsCluster({ size: 2 });
    const [first, second] = cluster.servers;
    if (first === undefined || second === undefined) throw new Error("No cluster");
    await using connection = await connected(first.url);
    first.signal("SIGSTOP");
    await eventually(() => connection.status().server === `127.0.0.1:${second.port}`, { withinMs: 15_000 });
    expect(connection.isConnected).toBe(true);
    first.signal("SIGCONT");
  }, 40_000);

  test("openConnection() reconnects to the only server, and sends unconfirmed acks again", async () => {
    await using server = await startNatsServer();
    const observer = await server.connect();
    const acks: string[] = [];
    observer.subscribe("$JS.ACK.>", { callback: (_, msg) => void acks.push(msg.subject) });
    await observer.flush();
    await using proxy = await startTcpProxy(server.port);
    await using connection = await connected(`nats://127.0.0.1:${proxy.port}`);
    proxy.freeze();
    connection.publishAck("$JS.ACK.S.c.1.1.1.1.0", { isUrgent: true });
    await eventually(() => !connection.isConnected, { withinMs: 10_000 });
    await eventually(() => connection.isConnected, { withinMs: 10_000 });
    await eventually(() => acks.length === 1 && connection.unconfirmedAcks === 0);
    expect(connection.status().reconnects).toBe(1);
    expect(proxy.connections).toBe(2);
  }, 40_000);

  test("openConnection() gives up a connection with a full send buffer", async () => {
    await using server = await startNatsServer();
    await using proxy = await startTcpProxy(server.port);
    await using connection = await connected(`nats://127.0.0.1:${proxy.port}`);
    const before = connection.client();
    proxy.freeze();
    for (let i = 0; i < 40; i += 1) connection.publish("large", "x".repeat(900_000));
    await eventually(() => !connection.isConnected, { withinMs: 10_000 });
    await eventually(() => connection.isConnected, { withinMs: 15_000 });
    expect(connection.client()).not.toBe(before);
  }, 40_000);

  test("openConnection() keeps a connection while bytes arrive, however slowly", async () => {
    await using server = await startNatsServer();
    await using proxy = await startTcpProxy(server.port);
    await using connection = await connected(`nats://127.0.0.1:${proxy.port}`);
    const other = await server.connect();
    connection.client()?.subscribe("large", { callback: () => undefined });
    await connection.client()?.flush();
    const before = performance.now();
    proxy.drip(300);
    other.publish("large", "x".repeat(10_000));
    await eventually(() => performance.now() - before > 12_000, { withinMs: 20_000 });
    expect(connection.isConnected).toBe(true);
    expect(proxy.connections).toBe(1);
  }, 40_000);

  test("openConnection() ends the open requests of a connection that it gives up", async () => {
    await using server = await startNatsServer();
    await using proxy = await startTcpProxy(server.port);
    await using connection = await connected(`nats://127.0.0.1:${proxy.port}`);
    proxy.freeze();
    const reply = await connection.request("nobody.knows", { timeoutMs: 60_000 });
    expect(reply).toEqual({ kind: "failed", reason: "connection to NATS lost" });
  }, 40_000);
});

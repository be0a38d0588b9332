// How a callback's connections are opened, shared, kept and closed.

import { describe, expect, test } from "bun:test";

import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/nats-server.ts";
import { headerOf, startReceiver } from "../support/receiver.ts";
import { startStopwatch } from "../support/stopwatch.ts";
import { NEVER, openTestCallback, toMessage } from "./setup.ts";

const OPTIONS = { mayResend: true, signal: NEVER };
const ONCE = { mayResend: false, signal: NEVER };

describe("connections", () => {
  test("openCallback() connects to nothing before it has to", async () => {
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url);
    await callback.close(0);
    expect(receiver.connections).toBe(0);
  });

  test("send() uses one connection again and again", async () => {
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { connections: 5 });
    for (let index = 0; index < 10; index += 1) await callback.send(toMessage(), OPTIONS);
    expect(receiver.connections).toBe(1);
    expect(callback.stats.openConnections).toBe(1);
  });

  test("send() has a connection of its own for each of 20 at a time, used again by the next 20", async () => {
    const together = Promise.withResolvers<null>();
    await using receiver = await startReceiver(async (_request, index) => {
      if (index === 19) together.resolve(null);
      await together.promise;
      return 200;
    });
    await using callback = openTestCallback(receiver.url, { connections: 20 });
    const sendAll = () => Promise.all(Array.from({ length: 20 }, () => callback.send(toMessage(), OPTIONS)));
    for (const { outcome } of [...(await sendAll()), ...(await sendAll())])
      expect(outcome.kind).toBe("delivered");
    expect(receiver.connections).toBe(20);
  });

  test("send() lets an idle connection go after the idle time", async () => {
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { idleTimeoutMs: 50 });
    await callback.send(toMessage(), OPTIONS);
    await eventually(() => receiver.openConnections === 0 && callback.stats.openConnections === 0);
    expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
    expect(receiver.connections).toBe(2);
    expect(callback.stats.resends).toBe(0);
  });

  test("send() uses the connection used last, so that those not needed go", async () => {
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { connections: 2, idleTimeoutMs: 200 });
    await Promise.all([callback.send(toMessage(), OPTIONS), callback.send(toMessage(), OPTIONS)]);
    expect(receiver.connections).toBe(2);
    await eventually(
      async () => {
        await callback.send(toMessage(), OPTIONS);
        return receiver.openConnections === 1;
      },
      { withinMs: 2000 },
    );
    expect(receiver.connections).toBe(2);
  });

  test("send() obeys an answer that closes the connection", async () => {
    await using receiver = await startReceiver(() => ({ status: 200, headers: { Connection: "close" } }));
    await using callback = openTestCallback(receiver.url);
    for (let index = 0; index < 5; index += 1) {
      expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
    }
    expect(receiver.connections).toBe(5);
    expect(callback.stats.resends).toBe(0);
  });
});

describe("prepare()", () => {
  test("prepare() opens the connection that the next send uses, for it alone, and sends nothing", async () => {
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url);
    for (let index = 0; index < 3; index += 1) {
      expect(await callback.prepare(NEVER)).toBeNull();
      expect(callback.stats.openConnections).toBe(1);
      expect(receiver.requests.length).toBe(index);
      const exchange = await callback.send(toMessage(), ONCE);
      expect(exchange.outcome.kind).toBe("delivered");
      expect(receiver.connections).toBe(index + 1);
    }
    expect(receiver.requests[0] && headerOf(receiver.requests[0], "connection")).toBe("close");
    await eventually(() => receiver.openConnections === 0);
  });

  test("prepare() keeps the connection where the subscription sets another Host", async () => {
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { headers: [["Host", "inner.example"]] });
    expect(await callback.prepare(NEVER)).toBeNull();
    await callback.send(toMessage(), ONCE);
    expect(receiver.connections).toBe(1);
    expect(receiver.requests[0] && headerOf(receiver.requests[0], "host")).toBe("inner.example");
  });

  test("prepare() opens a new connection where the old one was closed", async () => {
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url);
    await callback.send(toMessage(), OPTIONS);
    receiver.disconnect();
    await eventually(() => receiver.openConnections === 0);
    expect(await callback.prepare(NEVER)).toBeNull();
    const exchange = await callback.send(toMessage(), ONCE);
    expect(exchange.outcome.kind).toBe("delivered");
    expect(receiver.connections).toBe(2);
  });

  test("prepare() tells why there can be no connection, and succeeds once there can", async () => {
    const port = await freePort();
    await using callback = openTestCallback(new URL(`http://127.0.0.1:${port}/?secret=1`));
    expect(await callback.prepare(NEVER)).toEqual({
      kind: "exception",
      code: "connect",
      error: `Cannot reach 127.0.0.1:${port}: connection refused`,
    });
    await using receiver = await startReceiver(() => 200, { port });
    expect(await callback.prepare(NEVER)).toBeNull();
    expect((await callback.send(toMessage(), ONCE)).outcome.kind).toBe("delivered");
    expect(receiver.connections).toBe(1);
  });
});

describe("close()", () => {
  test("close() waits for what is in flight and closes every connection", async () => {
    const held = Promise.withResolvers<number>();
    await using receiver = await startReceiver(() => held.promise);
    await using callback = openTestCallback(receiver.url, { connections: 2 });
    const sending = callback.send(toMessage(), OPTIONS);
    await eventually(() => receiver.requests.length === 1);
    const closing = callback.close(5000);
    const late = await callback.send(toMessage(), OPTIONS);
    expect(late).toMatchObject({ aborted: true, sent: false, outcome: { kind: "exception" } });
    held.resolve(200);
    expect((await sending).outcome.kind).toBe("delivered");
    await closing;
    await eventually(() => receiver.openConnections === 0);
    expect(receiver.requests.length).toBe(1);
  });

  test("close() ends what is still in flight after the grace time", async () => {
    await using receiver = await startReceiver(() => new Promise(() => {}));
    await using callback = openTestCallback(receiver.url);
    const sending = callback.send(toMessage(), OPTIONS);
    await eventually(() => receiver.requests.length === 1);
    using watch = startStopwatch();
    await callback.close(50);
    watch.expectWithin(45, 500);
    expect(await sending).toMatchObject({ aborted: true, sent: true, response: null });
    await eventually(() => receiver.openConnections === 0);
  });
});

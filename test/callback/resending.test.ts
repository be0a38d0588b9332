// What ends or repeats a send from outside of the answer: a connection that broke, an abort.

import { describe, expect, test } from "bun:test";
import type { Socket } from "node:net";

import { eventually } from "../support/eventually.ts";
import { startReceiver, startTcpReceiver } from "../support/receiver.ts";
import { startStopwatch } from "../support/stopwatch.ts";
import { NEVER, openFullBacklog, openTestCallback, toMessage } from "./setup.ts";

const OPTIONS = { mayResend: true, signal: NEVER };
const TIMEOUT_MS = 1500;
/** Timers of a busy machine. */
const LATE_MS = 390;

describe("resending", () => {
  const BREAKS: [string, (socket: Socket) => void][] = [
    ["closed", (socket) => socket.end()],
    ["reset", (socket) => socket.resetAndDestroy()],
  ];

  /** Answers the first request of the first connection, and breaks that connection on the second. */
  function startBreaking(breakIt: (socket: Socket) => void) {
    return startTcpReceiver((socket, index) => {
      let requests = 0;
      socket.on("data", () => {
        requests += 1;
        if (index === 0 && requests === 2) breakIt(socket);
        else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      });
    });
  }

  test.each(BREAKS)(
    "send() sends once more where a reused connection is %s before the answer",
    async (_how, breakIt) => {
      await using receiver = await startBreaking(breakIt);
      await using callback = openTestCallback(receiver.url);
      expect((await callback.send(toMessage(), OPTIONS)).resends).toBe(0);
      const exchange = await callback.send(toMessage(), OPTIONS);
      expect(exchange).toMatchObject({ outcome: { kind: "delivered" }, resends: 1, sent: true });
      expect(callback.stats.resends).toBe(1);
      expect(receiver.connections).toBe(2);
    },
  );

  test.each(BREAKS)(
    "send() does not send again what must not be, where the connection is %s",
    async (_how, breakIt) => {
      await using receiver = await startTcpReceiver((socket) => socket.once("data", () => breakIt(socket)));
      await using callback = openTestCallback(receiver.url);
      const exchange = await callback.send(toMessage(), { mayResend: false, signal: NEVER });
      expect(exchange).toMatchObject({
        outcome: { kind: "exception", code: "reset" },
        resends: 0,
        sent: true,
      });
      expect(receiver.connections).toBe(1);
    },
  );

  test("send() does not send again once a byte of the answer has come", async () => {
    await using receiver = await startBreaking((socket) => socket.end("H"));
    await using callback = openTestCallback(receiver.url);
    await callback.send(toMessage(), OPTIONS);
    const exchange = await callback.send(toMessage(), OPTIONS);
    expect(exchange).toMatchObject({ outcome: { kind: "exception", code: "reset" }, resends: 0 });
  });

  test("send() sends once more only once, within the same deadline", async () => {
    await using receiver = await startTcpReceiver((socket, index) => {
      let requests = 0;
      socket.on("data", () => {
        requests += 1;
        if (requests === 2) socket.end();
        else if (index === 0) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      });
    });
    await using callback = openTestCallback(receiver.url, { readTimeoutMs: TIMEOUT_MS });
    await callback.send(toMessage(), OPTIONS);
    using watch = startStopwatch();
    const exchange = await callback.send(toMessage(), OPTIONS);
    expect(exchange).toMatchObject({ outcome: { kind: "exception", code: "timeout" }, resends: 1 });
    watch.expectWithin(TIMEOUT_MS - 2, TIMEOUT_MS + LATE_MS);
    expect(receiver.connections).toBe(2);
  });

  test("send() survives a receiver that closes right after each answer", async () => {
    await using receiver = await startReceiver((_request, _index, response) => {
      response.writeHead(200, { "Content-Length": "0", Connection: "keep-alive" });
      response.end(() => response.socket?.end());
      return null;
    });
    await using callback = openTestCallback(receiver.url);
    for (let index = 0; index < 50; index += 1) {
      expect((await callback.send(toMessage(), OPTIONS)).outcome).toEqual({ kind: "delivered", status: 200 });
    }
  });
});

describe("aborting", () => {
  test("send() ends at once when its signal aborts, and only then", async () => {
    const held = Promise.withResolvers<number>();
    await using receiver = await startReceiver(() => held.promise);
    await using callback = openTestCallback(receiver.url, { connections: 2 });
    const controller = new AbortController();
    const sending = callback.send(toMessage(), { mayResend: true, signal: controller.signal });
    const other = callback.send(toMessage(), OPTIONS);
    await eventually(() => receiver.requests.length === 2);
    controller.abort();
    expect(await sending).toMatchObject({ aborted: true, sent: true, outcome: { kind: "exception" } });
    held.resolve(200);
    expect(await other).toMatchObject({ aborted: false, outcome: { kind: "delivered" } });
    const late = await callback.send(toMessage(), { mayResend: true, signal: controller.signal });
    expect(late).toMatchObject({ aborted: true, sent: false });
    expect(receiver.requests.length).toBe(2);
  });

  test("prepare() and send() end at once when their signal aborts while connecting", async () => {
    await using backlog = await openFullBacklog();
    await using callback = openTestCallback(backlog.url, { connections: 2 });
    const controller = new AbortController();
    const sending = callback.send(toMessage(), { mayResend: true, signal: controller.signal });
    const preparing = callback.prepare(controller.signal);
    controller.abort();
    expect(await sending).toMatchObject({ aborted: true, sent: false });
    expect(await preparing).toMatchObject({ kind: "exception" });
  });

  test("close() ends a prepare that is still connecting", async () => {
    await using backlog = await openFullBacklog();
    await using callback = openTestCallback(backlog.url);
    const preparing = callback.prepare(NEVER);
    await callback.close(20);
    expect(await preparing).toMatchObject({ kind: "exception" });
  });
});

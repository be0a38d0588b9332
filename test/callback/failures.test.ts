// A callback that fails: every way in which an answer can be missing, late or broken, by real peers.

import { describe, expect, test } from "bun:test";
import type { Socket } from "node:net";

import type { Exception, ExceptionCode } from "#delivery/outcome.ts";
import { eventually } from "../support/eventually.ts";
import { toRoute } from "../support/subscription.ts";
import { freePort } from "../support/nats-server.ts";
import { startReceiver, startTcpReceiver } from "../support/receiver.ts";
import { startStopwatch } from "../support/stopwatch.ts";
import { NEVER, openFullBacklog, openTestCallback, toMessage } from "./setup.ts";

const OPTIONS = { mayResend: true, signal: NEVER };
const TIMEOUT_MS = 400;
/** Timers of a busy machine. */
const LATE_MS = 390;

const OK_HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";

/** Does `act` once the request has begun to arrive. */
function afterRequest(act: (socket: Socket) => void) {
  return (socket: Socket) => socket.once("data", () => act(socket));
}

function drip(socket: Socket): void {
  let index = 0;
  const timer = setInterval(() => {
    socket.write(OK_HEAD[index % OK_HEAD.length] ?? "");
    index += 1;
  }, 20);
  socket.once("close", () => clearInterval(timer));
}

describe("deadlines", () => {
  test("prepare() and send() give up connecting after the connect timeout, exactly", async () => {
    await using backlog = await openFullBacklog();
    await using callback = openTestCallback(backlog.url, {
      route: toRoute({ connectTimeoutMs: TIMEOUT_MS }),
    });
    const outcome: Exception = {
      kind: "exception",
      code: "connect-timeout",
      error: `Cannot reach ${backlog.url.host}: no connection within ${TIMEOUT_MS} ms`,
    };
    for (const call of [
      () => callback.prepare(NEVER),
      async () => {
        const exchange = await callback.send(toMessage(), OPTIONS);
        expect(exchange.sent).toBe(false);
        return exchange.outcome;
      },
    ]) {
      using watch = startStopwatch();
      expect(await call()).toEqual(outcome);
      watch.expectWithin(TIMEOUT_MS - 2, TIMEOUT_MS + LATE_MS);
    }
    expect(callback.stats.openConnections).toBe(0);
  });

  test("prepare() and send() end after the read timeout, also while connecting", async () => {
    await using backlog = await openFullBacklog();
    await using callback = openTestCallback(backlog.url, { readTimeoutMs: TIMEOUT_MS });
    using watch = startStopwatch();
    const exchange = await callback.send(toMessage(), OPTIONS);
    expect(exchange).toMatchObject({ sent: false, outcome: { kind: "exception", code: "timeout" } });
    watch.expectWithin(TIMEOUT_MS - 2, TIMEOUT_MS + LATE_MS);
    expect(await callback.prepare(NEVER)).toMatchObject({ code: "timeout" });
  });

  test("prepare() and send() that end while connecting give the connection up, and the next one starts anew", async () => {
    await using silent = await startTcpReceiver((socket) => socket.resume());
    await using callback = openTestCallback(new URL(`https://${silent.url.host}/`), {
      route: toRoute({ connectTimeoutMs: 60_000 }),
      readTimeoutMs: TIMEOUT_MS,
    });
    for (const [index, call] of [
      () => callback.send(toMessage(), OPTIONS),
      () => callback.prepare(NEVER),
    ].entries()) {
      await call();
      await eventually(() => silent.openConnections === 0);
      expect(silent.connections).toBe(index + 1);
    }
  });

  test.each<[string, (socket: Socket) => void]>([
    ["nothing is answered", afterRequest(() => {})],
    ["nothing comes after the headers", afterRequest((socket) => socket.write(OK_HEAD))],
    ["the answer comes byte by byte", afterRequest(drip)],
    [
      "the body comes slowly",
      afterRequest((socket) => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        drip(socket);
      }),
    ],
    ["only interim answers come", afterRequest((socket) => socket.write("HTTP/1.1 102 Processing\r\n\r\n"))],
  ])("send() ends after the read timeout, exactly, where %s", async (_what, onConnection) => {
    await using receiver = await startTcpReceiver(onConnection);
    await using callback = openTestCallback(receiver.url, { readTimeoutMs: TIMEOUT_MS });
    using watch = startStopwatch();
    const exchange = await callback.send(toMessage(), OPTIONS);
    watch.expectWithin(TIMEOUT_MS - 2, TIMEOUT_MS + LATE_MS);
    expect(exchange).toMatchObject({
      outcome: {
        kind: "exception",
        code: "timeout",
        error: `No complete answer from ${receiver.url.host} within ${TIMEOUT_MS} ms`,
      },
      sent: true,
      aborted: false,
      response: null,
    });
    await eventually(() => receiver.openConnections === 0);
  });

  test("send() keeps the status of a rejection whose body stalls, and ends after the read timeout", async () => {
    await using receiver = await startTcpReceiver(
      afterRequest((socket) => socket.write("HTTP/1.1 404 No\r\nContent-Length: 10\r\n\r\nabc")),
    );
    await using callback = openTestCallback(receiver.url, { readTimeoutMs: TIMEOUT_MS });
    using watch = startStopwatch();
    const exchange = await callback.send(toMessage(), OPTIONS);
    watch.expectWithin(TIMEOUT_MS - 2, TIMEOUT_MS + LATE_MS);
    expect(exchange).toMatchObject({
      outcome: { kind: "rejected", status: 404 },
      response: { truncated: true },
    });
    await eventually(() => receiver.openConnections === 0);
  });

  test("send() works again after a timeout", async () => {
    await using receiver = await startReceiver((_request, index) =>
      index === 0 ? new Promise(() => {}) : 200,
    );
    await using callback = openTestCallback(receiver.url, { readTimeoutMs: 2000 });
    expect((await callback.send(toMessage("a"), OPTIONS)).outcome.kind).toBe("exception");
    expect((await callback.send(toMessage("b"), OPTIONS)).outcome.kind).toBe("delivered");
    expect(receiver.requests.map(({ body }) => body.toString())).toEqual(["a", "b"]);
  });
});

describe("broken answers", () => {
  test.each<[string, (socket: Socket) => void, ExceptionCode]>([
    ["closed at once", (socket) => socket.end(), "reset"],
    ["reset at once", (socket) => socket.resetAndDestroy(), "reset"],
    ["closed before the answer", afterRequest((socket) => socket.end()), "reset"],
    ["reset before the answer", afterRequest((socket) => socket.resetAndDestroy()), "reset"],
    ["closed within the headers", afterRequest((socket) => socket.end("HTTP/1.1 200 OK\r\nConte")), "reset"],
    ["closed within the body", afterRequest((socket) => socket.end(`${OK_HEAD}abc`)), "reset"],
    [
      "closed within a closing body",
      afterRequest((socket) =>
        socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nabc"),
      ),
      "reset",
    ],
    [
      "closed within a chunk",
      afterRequest((socket) => socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc")),
      "reset",
    ],
    [
      "closed within a chunk of a closing body",
      afterRequest((socket) =>
        socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc"),
      ),
      "reset",
    ],
    [
      "reset within the body",
      afterRequest((socket) => socket.write(`${OK_HEAD}abc`, () => socket.resetAndDestroy())),
      "reset",
    ],
    ["garbage", afterRequest((socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n")), "bad-response"],
    ["a garbage status", afterRequest((socket) => socket.end("HTTP/1.1 abc OK\r\n\r\n")), "bad-response"],
    ["a status below 100", afterRequest((socket) => socket.end("HTTP/1.1 099 OK\r\n\r\n")), "bad-response"],
    [
      "a garbage chunk",
      afterRequest((socket) => socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")),
      "bad-response",
    ],
    [
      "headers too long",
      afterRequest((socket) => socket.end(`HTTP/1.1 200 OK\r\nX-A: ${"a".repeat(70_000)}\r\n\r\n`)),
      "bad-response",
    ],
    [
      "an upgrade nobody asked for",
      afterRequest((socket) =>
        socket.write("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
      ),
      "bad-response",
    ],
  ])("send() takes %s for an exception", async (_what, onConnection, code) => {
    await using receiver = await startTcpReceiver(onConnection);
    await using callback = openTestCallback(new URL("/in?secret=1", receiver.url));
    const exchange = await callback.send(toMessage(), OPTIONS);
    expect(exchange).toMatchObject({ outcome: { kind: "exception", code }, resends: 0, response: null });
    const { error } = exchange.outcome as Exception;
    expect(error).toContain(receiver.url.host);
    expect(error).not.toContain("secret");
    expect(receiver.connections).toBe(1);
  });

  test.each<[string, (socket: Socket) => void]>([
    ["complete, then closed", (socket) => socket.end("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")],
    [
      "followed by a reset",
      (socket) =>
        socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", () => socket.resetAndDestroy()),
    ],
    ["that ends with the connection", (socket) => socket.end("HTTP/1.1 413 Too Large\r\n\r\ntoo large")],
    ["cut off", (socket) => socket.end("HTTP/1.1 413 Too Large\r\nContent-Length: 100\r\n\r\ntoo large")],
  ])("send() counts an early 413 %s, while 8 MB are on their way", async (_what, act) => {
    await using receiver = await startTcpReceiver((socket) => {
      socket.once("data", () => {
        socket.pause();
        act(socket);
      });
    });
    await using callback = openTestCallback(receiver.url);
    const exchange = await callback.send(toMessage(new Uint8Array(8 * 1024 * 1024)), OPTIONS);
    expect(exchange.outcome).toMatchObject({ kind: "rejected", status: 413, retryAfterMs: null });
  });

  test("send() counts a 500 whose body was cut off", async () => {
    await using receiver = await startTcpReceiver(
      afterRequest((socket) => socket.end("HTTP/1.1 500 Oops\r\nContent-Length: 10\r\n\r\nabc")),
    );
    await using callback = openTestCallback(receiver.url);
    const exchange = await callback.send(toMessage(), OPTIONS);
    expect(exchange.outcome).toMatchObject({ kind: "server-error", status: 500 });
    expect(exchange.response?.truncated).toBe(true);
  });

  test("send() tells a name that does not exist from a port that does not answer", async () => {
    await using unknown = openTestCallback(new URL("http://no-such-host.invalid/"));
    const named = await unknown.send(toMessage(), OPTIONS);
    expect(named).toMatchObject({ sent: false, outcome: { kind: "exception", code: "dns" } });
    const port = await freePort();
    await using dead = openTestCallback(new URL(`http://127.0.0.1:${port}/`));
    const exchange = await dead.send(toMessage(), OPTIONS);
    expect(exchange).toMatchObject({ sent: false, outcome: { kind: "exception", code: "connect" } });
  });
});

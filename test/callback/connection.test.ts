// When a connection carries another request, and when it must not: over real sockets.

import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import type { Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";

import { type CallbackConnection, createCallbackConnection } from "#callback/connection.ts";
import { createDial } from "#callback/connector.ts";
import { toRequestPrefix } from "#callback/request-writer.ts";
import { createSlots } from "#callback/slots.ts";
import { eventually } from "../support/eventually.ts";
import { startTcpReceiver, type TcpReceiver } from "../support/receiver.ts";
import { toRoute } from "../support/subscription.ts";
import { TEST_CERT, TEST_KEY } from "./test-certificate.ts";

const TARGET = { path: "/", headers: [], isForwarded: false };
const PREFIX = toRequestPrefix({ method: "POST", target: TARGET, host: "callback.test", isKept: true });
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const IDLE_MS = 60_000;

function connectTo(url: URL): CallbackConnection {
  const tls = { trusted: null, identity: null, verifiesCertificate: false, verifiesHostName: false };
  return createCallbackConnection({
    dial: createDial({ url, route: toRoute({ tls }) }),
    idleTimeoutMs: IDLE_MS,
    maxAgeMs: 600_000,
    isOnce: false,
  });
}

async function open(connection: CallbackConnection): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  connection.open(resolve);
  expect(await promise).toBeNull();
}

/** The body of the answer; null: it broke. */
function send(connection: CallbackConnection, body: Uint8Array = new Uint8Array(2)): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  connection.send(
    { prefix: PREFIX, lines: "", body },
    {
      onAnswer: () => resolve(Buffer.from(connection.answer.takeBody()).toString()),
      onBreak: () => resolve(null),
    },
  );
  return promise;
}

/** Answers each request by the text in turn. */
function startAnswering(...texts: readonly string[]): Promise<TcpReceiver> {
  let index = 0;
  return startTcpReceiver((socket) =>
    socket.on("data", () => {
      socket.write(texts[index % texts.length] ?? "", "latin1");
      index += 1;
    }),
  );
}

describe("createConnection()", () => {
  test("createConnection() carries one request after the other", async () => {
    await using receiver = await startAnswering(OK, OK.replace("ok", "no"));
    const connection = connectTo(receiver.url);
    await open(connection);
    expect(connection.isUsed).toBe(false);
    expect(await send(connection)).toBe("ok");
    expect(connection).toMatchObject({ isOpen: true, isUsed: true });
    expect(await send(connection)).toBe("no");
    connection.drop();
    await eventually(() => receiver.openConnections === 0);
  });

  test.each([
    ["another answer behind its own", OK + OK.replace("ok", "no")],
    ["a body behind a 204", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"],
    ["Connection: close", OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")],
    ["both lengths", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ])("createConnection() is closed after %s", async (_what, text) => {
    await using receiver = await startAnswering(text);
    const connection = connectTo(receiver.url);
    await open(connection);
    expect(await send(connection)).not.toBeNull();
    expect(connection.isOpen).toBe(false);
    await eventually(() => receiver.openConnections === 0);
  });

  test("createConnection() is closed by bytes that nobody asked for, before and after its first request", async () => {
    const sockets: Socket[] = [];
    await using receiver = await startTcpReceiver((socket) => {
      sockets.push(socket);
      socket.on("data", () => socket.write(OK));
    });
    for (const isUsed of [false, true]) {
      const connection = connectTo(receiver.url);
      await open(connection);
      await eventually(() => sockets.length > 0);
      if (isUsed) expect(await send(connection)).toBe("ok");
      sockets.pop()?.write(OK);
      await eventually(() => !connection.isOpen && receiver.openConnections === 0);
    }
  });

  test.each([["plain"], ["over TLS"]])(
    "createConnection() keeps an answer that comes before the request is wholly sent, and is closed: %s",
    async (way) => {
      const onConnection = (socket: Socket) => {
        socket.on("error", () => undefined);
        socket.once("data", () => {
          socket.pause();
          socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
        });
      };
      const isTls = way === "over TLS";
      await using receiver = await startTcpReceiver(isTls ? () => undefined : onConnection);
      const server = createTlsServer({ key: TEST_KEY, cert: TEST_CERT }, onConnection);
      await once(server.listen(0, "127.0.0.1"), "listening");
      const { port } = server.address() as { readonly port: number };
      const connection = connectTo(isTls ? new URL(`https://127.0.0.1:${port}/`) : receiver.url);
      await open(connection);
      expect(await send(connection, new Uint8Array(16 * 1024 * 1024))).toBe("big");
      expect(connection.answer.status).toBe(413);
      expect(connection.isOpen).toBe(false);
      server.close();
    },
  );

  test.each([
    ["timeout=5", 4000],
    ["timeout=1", 500],
    ["timeout=0", 0],
    ["timeout=3600", IDLE_MS],
    ["max=5", IDLE_MS],
  ])("createConnection() after Keep-Alive: %s is used for %i ms", async (value, ms) => {
    await using receiver = await startAnswering(OK.replace("\r\n\r\n", `\r\nKeep-Alive: ${value}\r\n\r\n`));
    const connection = connectTo(receiver.url);
    await open(connection);
    const beforeMs = performance.now();
    await send(connection);
    expect(connection.usableUntilMs).toBeWithin(beforeMs + ms, performance.now() + ms + 1);
    connection.drop();
  });
});

describe("createSlots()", () => {
  function slotsTo(url: URL, changes: { readonly idleTimeoutMs?: number; readonly maxAgeMs?: number }) {
    return createSlots({
      dial: createDial({ url, route: toRoute({}) }),
      address: url.host,
      maxFree: 1,
      idleTimeoutMs: IDLE_MS,
      maxAgeMs: 600_000,
      ...changes,
    });
  }

  test("createSlots() renews a connection that has grown old, however busy it is", async () => {
    await using receiver = await startAnswering(OK);
    const slots = slotsTo(receiver.url, { maxAgeMs: 60 });
    await eventually(async () => {
      const connection = slots.take();
      if (!connection.isOpen) await open(connection);
      expect(await send(connection)).toBe("ok");
      slots.giveBack(connection);
      return receiver.connections === 3;
    });
    slots.close();
    await eventually(() => receiver.openConnections === 0);
  });

  test("createSlots() shares the connection that is being prepared, and lets an unused one go after a second", async () => {
    await using receiver = await startAnswering(OK);
    const slots = slotsTo(receiver.url, {});
    expect(await Promise.all([slots.prepareOwn(1000), slots.prepareOwn(1000)])).toEqual([null, null]);
    expect(await slots.prepareOwn(1000)).toBeNull();
    expect(slots.openConnections).toBe(1);
    await eventually(() => receiver.connections === 1 && receiver.openConnections === 0);
    expect(slots.openConnections).toBe(0);
    expect(slots.takeOwn().isOpen).toBe(false);
  });

  test("createSlots() has a connection for one message only, which its peer closes", async () => {
    await using receiver = await startAnswering(OK);
    const slots = slotsTo(receiver.url, {});
    await slots.prepareOwn(1000);
    const connection = slots.takeOwn();
    expect(await send(connection)).toBe("ok");
    expect(connection.isOpen).toBe(false);
    expect(receiver.openConnections).toBe(1);
    slots.giveBack(connection);
    expect(slots.takeOwn()).not.toBe(connection);
    await eventually(() => receiver.openConnections === 0);
  });
});

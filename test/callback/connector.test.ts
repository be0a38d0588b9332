// Connections by TLS: what is verified, and that one deadline holds for all stages.

import { describe, expect, test } from "bun:test";
import type { ConnectionOptions } from "node:tls";

import { createDial, type Dialled } from "#callback/connector.ts";
import type { Exception } from "#delivery/outcome.ts";
import { eventually } from "../support/eventually.ts";
import { startReceiver, startTcpReceiver } from "../support/receiver.ts";
import { NEVER, openFullBacklog, openTestCallback, toMessage } from "./setup.ts";
import { TEST_CERT, TEST_KEY } from "./test-certificate.ts";

const TIMEOUT_MS = 150;
const LATE_MS = 100;
const TLS = { key: TEST_KEY, cert: TEST_CERT };

function dial(url: URL, tls: ConnectionOptions = {}): Promise<Dialled> {
  return new Promise((resolve) => {
    createDial({ url, timeoutMs: TIMEOUT_MS, tls })(resolve);
  });
}

function toHttps(url: URL, hostname = url.hostname): URL {
  return new URL(`https://${hostname}:${url.port}/callback`);
}

describe("createDial()", () => {
  test.each(["127.0.0.1", "localhost"])(
    "createDial() verifies the name %s and speaks TLS",
    async (hostname) => {
      await using receiver = await startReceiver(() => 200, { tls: TLS });
      const dialled = await dial(toHttps(receiver.url, hostname), { ca: TEST_CERT });
      expect(dialled).toMatchObject({ kind: "connected" });
      if (dialled.kind === "connected") dialled.socket.destroy();
    },
  );

  test.each<[string, ConnectionOptions, string]>([
    ["a certificate that nobody vouches for", {}, "certificate is self-signed"],
    [
      "a certificate for another name",
      { ca: TEST_CERT, servername: "other.test", host: "other.test" },
      "certificate is for another name",
    ],
  ])("createDial() refuses %s", async (_what, tls, reason) => {
    await using receiver = await startReceiver(() => 200, { tls: TLS });
    const dialled = await dial(receiver.url, tls);
    expect(dialled).toEqual({
      kind: "failed",
      exception: {
        kind: "exception",
        code: "tls",
        error: `Cannot reach ${receiver.url.host} by TLS: ${reason}`,
      },
    });
    await eventually(() => receiver.openConnections === 0);
  });

  test("createDial() tells a peer that closes during the handshake, or speaks no TLS", async () => {
    await using closing = await startTcpReceiver((socket) => socket.once("data", () => socket.end()));
    expect(await dial(toHttps(closing.url))).toMatchObject({ kind: "failed", exception: { code: "tls" } });
    await using plain = await startTcpReceiver((socket) =>
      socket.once("data", () => socket.end("HTTP/1.1 400 No\r\n\r\n")),
    );
    expect(await dial(toHttps(plain.url))).toMatchObject({ kind: "failed", exception: { code: "tls" } });
  });

  test("createDial() ends after its timeout, exactly, where the peer is silent", async () => {
    await using silent = await startTcpReceiver((socket) => socket.resume());
    await using backlog = await openFullBacklog();
    for (const url of [toHttps(silent.url), toHttps(backlog.url)]) {
      const startMs = performance.now();
      expect(await dial(url)).toMatchObject({ kind: "failed", exception: { code: "connect-timeout" } });
      expect(performance.now() - startMs).toBeWithin(TIMEOUT_MS - 2, TIMEOUT_MS + LATE_MS);
    }
    await eventually(() => silent.openConnections === 0);
  });

  test("createDial() given up calls nobody and leaves no connection", async () => {
    const { promise, resolve } = Promise.withResolvers<null>();
    await using silent = await startTcpReceiver((socket) => {
      socket.resume();
      resolve(null);
    });
    const calls: Dialled[] = [];
    const giveUp = createDial({ url: toHttps(silent.url), timeoutMs: 5000, tls: {} })((dialled) =>
      calls.push(dialled),
    );
    await promise;
    giveUp();
    await eventually(() => silent.openConnections === 0);
    expect(calls).toEqual([]);
  });

  test("createDial() survives an error of a socket that it has handed over", async () => {
    await using receiver = await startTcpReceiver((socket) => socket.resetAndDestroy());
    const dialled = await dial(receiver.url);
    if (dialled.kind !== "connected") throw new Error("Not connected");
    dialled.socket.resume();
    await eventually(() => dialled.socket.closed);
  });
});

test("prepare() and send() tell a certificate that cannot be trusted", async () => {
  await using receiver = await startReceiver(() => 200, { tls: TLS });
  await using callback = openTestCallback(receiver.url);
  const exception = await callback.prepare(NEVER);
  expect(exception).toMatchObject({ code: "tls" });
  const exchange = await callback.send(toMessage(), { mayResend: true, signal: NEVER });
  expect(exchange).toMatchObject({ sent: false, outcome: exception as Exception });
  expect(receiver.requests).toEqual([]);
});

// Connections without a proxy: which step fails, and that one deadline holds for all of them.

import { afterEach, describe, expect, test } from "bun:test";
import { getServers, setServers } from "node:dns";

import { createDial, type Dialled } from "#callback/connector.ts";
import type { Route } from "#delivery/callback.ts";
import type { Exception } from "#delivery/outcome.ts";
import { eventually } from "../support/eventually.ts";
import { startNameServer } from "../support/name-server.ts";
import { toProxy } from "../support/proxies.ts";
import { freePort } from "../support/nats-server.ts";
import { startReceiver, startTcpReceiver } from "../support/receiver.ts";
import { startStopwatch } from "../support/stopwatch.ts";
import { toRoute } from "../support/subscription.ts";
import { NEVER, openFullBacklog, openTestCallback, toMessage } from "./setup.ts";
import { TEST_CERT, TEST_KEY } from "./test-certificate.ts";

const TIMEOUT_MS = 400;
const LATE_MS = 390;
const TLS = { key: TEST_KEY, cert: TEST_CERT };

function dial(url: URL, changes: Partial<Route> = {}): Promise<Dialled> {
  return new Promise((resolve) => {
    createDial({ url, route: toRoute({ connectTimeoutMs: 10_000, ...changes }) })(resolve);
  });
}

function toHttps(url: URL, hostname = url.hostname): URL {
  return new URL(`https://${hostname}:${url.port}/callback`);
}

describe("names whose server is silent", () => {
  const servers = getServers();
  afterEach(() => setServers(servers));

  test("createDial() ends after its timeout, exactly, and says that the name server did not answer", async () => {
    await using names = await startNameServer(() => undefined);
    setServers([names.address]);
    using watch = startStopwatch();
    expect(await dial(new URL("http://silent.test/"), { connectTimeoutMs: TIMEOUT_MS })).toEqual({
      kind: "failed",
      exception: {
        kind: "exception",
        code: "dns",
        error: "Cannot reach silent.test:80: name server did not answer",
      },
    });
    watch.expectWithin(TIMEOUT_MS - 2, TIMEOUT_MS + LATE_MS);
    const proxy = { ...toProxy("http", { port: 3128 }), host: "silent.test" };
    expect(
      await dial(new URL("http://callback.test/"), {
        connectTimeoutMs: TIMEOUT_MS,
        proxy: { kind: "fixed", proxy },
      }),
    ).toMatchObject({
      exception: {
        code: "proxy",
        error:
          "Cannot reach callback.test:80: the proxy silent.test:3128 cannot be reached: name server did not answer",
      },
    });
  });

  test("createDial() gives a SOCKS 4 proxy the name that it does not find in time, and else its address", async () => {
    await using names = await startNameServer(({ name, type }) => {
      if (name === "silent.test") return undefined;
      return type === "A" ? ["192.0.2.7"] : [];
    });
    setServers([names.address]);
    const asked: string[] = [];
    await using server = await startTcpReceiver((socket) =>
      socket.once("data", (request: Buffer) => {
        asked.push(request.subarray(4).toString("hex"));
        socket.end(Buffer.of(0, 90, 0, 0, 0, 0, 0, 0));
      }),
    );
    const proxy = toProxy("socks4", { port: server.port });
    for (const host of ["found.test", "silent.test"]) {
      // The name server has a part of that.
      const dialled = await dial(new URL(`http://${host}/`), {
        connectTimeoutMs: 10 * TIMEOUT_MS,
        proxy: { kind: "fixed", proxy },
      });
      if (dialled.kind !== "connected") throw new Error(dialled.exception.error);
      dialled.socket.destroy();
    }
    expect(asked).toEqual(["c000020700", `0000000100${Buffer.from("silent.test\0").toString("hex")}`]);
  });
});

describe("createDial()", () => {
  test.each<[string, string, string, string]>([
    ["whose name is not found", "http://callback.invalid/", "dns", "name not found"],
    ["without a port of its own", "http://127.0.0.99/", "connect", "connection refused"],
    ["with an IPv6 address", "https://[::1]:9/", "connect", "connection refused"],
  ])("createDial() tells a host %s", async (_what, href, code, reason) => {
    const url = new URL(href);
    const address = url.port === "" ? `${url.hostname}:80` : url.host;
    const error = `Cannot reach ${address}: ${reason}`;
    expect(await dial(url)).toEqual({
      kind: "failed",
      exception: { kind: "exception", code, error },
    } as Dialled);
  });

  test("createDial() reaches a name of which only one address is listened on", async () => {
    await using receiver = await startReceiver();
    const dialled = await dial(new URL(`http://localhost:${receiver.port}/`));
    if (dialled.kind !== "connected") throw new Error("Not connected");
    dialled.socket.destroy();
    const port = await freePort();
    const error = `Cannot reach localhost:${port}: connection refused`;
    expect(await dial(new URL(`http://localhost:${port}/`))).toMatchObject({
      exception: { code: "connect", error },
    });
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
      using watch = startStopwatch();
      const dialled = await dial(url, { connectTimeoutMs: TIMEOUT_MS });
      expect(dialled).toMatchObject({ kind: "failed", exception: { code: "connect-timeout" } });
      watch.expectWithin(TIMEOUT_MS - 2, TIMEOUT_MS + LATE_MS);
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
    const giveUp = createDial({ url: toHttps(silent.url), route: toRoute() })((dialled) =>
      calls.push(dialled),
    );
    await promise;
    giveUp();
    await eventually(() => silent.openConnections === 0);
    expect(calls).toEqual([]);
  });

  test("createDial() given up at once, while the name is looked up, connects to nothing", async () => {
    await using receiver = await startTcpReceiver((socket) => socket.resume());
    const calls: Dialled[] = [];
    const url = new URL(`http://localhost:${receiver.port}/`);
    createDial({ url, route: toRoute() })((dialled) => calls.push(dialled))();
    const later = await dial(url);
    if (later.kind === "connected") later.socket.destroy();
    await eventually(() => receiver.connections > 0 && receiver.openConnections === 0);
    expect(receiver.connections).toBe(1);
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

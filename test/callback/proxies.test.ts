// Callbacks through real proxies of every kind, and what is told where a proxy is of no use.

import { describe, expect, test } from "bun:test";

import { createDial, type Dialled } from "#callback/connector.ts";
import type { Proxy, Route } from "#delivery/callback.ts";
import { eventually } from "../support/eventually.ts";
import {
  startDante,
  startMicrosocks,
  startSocks4aProxy,
  startTinyproxy,
  type TestProxy,
  toProxy,
} from "../support/proxies.ts";
import { freePort } from "../support/nats-server.ts";
import { headerOf, startReceiver, startTcpReceiver } from "../support/receiver.ts";
import { startStopwatch } from "../support/stopwatch.ts";
import { toRoute } from "../support/subscription.ts";
import { NEVER, openFullBacklog, openTestCallback, toMessage } from "./setup.ts";
import { TEST_CERT, TEST_KEY } from "./test-certificate.ts";

const OPTIONS = { mayResend: true, signal: NEVER };
const TLS = { key: TEST_KEY, cert: TEST_CERT };
const CREDENTIALS = { username: "relay", password: "pass-word" };
const TIMEOUT_MS = 400;
/** Timers of a busy machine. */
const LATE_MS = 390;
const HTTPS = new URL("https://callback.test/hook?secret=1");
const HTTP = new URL("http://callback.test/hook?secret=1");

function toProxied(proxy: Proxy, changes: Partial<Route> = {}): Route {
  return toRoute({
    proxy: { kind: "fixed", proxy },
    tls: { ...toRoute().tls, trusted: [TEST_CERT] },
    ...changes,
  });
}

function dial(url: URL, route: Route): Promise<Dialled> {
  return new Promise((resolve) => {
    createDial({ url, route })(resolve);
  });
}

/** What the dial is expected to tell about the proxy. */
function toFailed(url: URL, { port, reason }: { readonly port: number; readonly reason: string }): Dialled {
  const address = url === HTTPS ? "callback.test:443" : "callback.test:80";
  return {
    kind: "failed",
    exception: {
      kind: "exception",
      code: "proxy",
      error: `Cannot reach ${address}: the proxy 127.0.0.1:${port} ${reason}`,
    },
  };
}

const PROXIES: readonly [name: string, start: () => Promise<TestProxy>, hosts: readonly string[]][] = [
  ["tinyproxy", () => startTinyproxy(), ["127.0.0.1", "localhost"]],
  ["tinyproxy with credentials", () => startTinyproxy(CREDENTIALS), ["127.0.0.1", "localhost"]],
  ["microsocks", () => startMicrosocks(), ["127.0.0.1", "localhost"]],
  ["microsocks with credentials", () => startMicrosocks(CREDENTIALS), ["127.0.0.1", "localhost"]],
  ["Dante as SOCKS 5", () => startDante("socks5"), ["127.0.0.1", "localhost"]],
  // It knows SOCKS 4, and not 4a: names are looked up here.
  ["Dante as SOCKS 4", () => startDante("socks4"), ["127.0.0.1", "localhost"]],
  ["SOCKS 4a", () => startSocks4aProxy("relay"), ["127.0.0.1", "localhost", "callback.test"]],
];

describe("proxies", () => {
  test.each(PROXIES)("send() delivers http and https through %s", async (_name, start, hosts) => {
    await using proxy = await start();
    for (const options of [{}, { tls: TLS }]) {
      const peers: (string | undefined)[] = [];
      await using receiver = await startReceiver((_request, _index, response) => {
        peers.push(response.socket?.remoteAddress);
        return 200;
      }, options);
      for (const host of hosts) {
        const url = new URL(receiver.url.href.replace("127.0.0.1", host));
        await using callback = openTestCallback(url, { route: toProxied(proxy.proxy) });
        for (const body of ["first", "second"]) {
          const exchange = await callback.send(toMessage(body), OPTIONS);
          expect(exchange.outcome).toEqual({ kind: "delivered", status: 200 });
        }
        const request = receiver.requests.at(-1);
        expect(request).toMatchObject({ path: "/callback", method: "POST", body: Buffer.from("second") });
        expect(request && headerOf(request, "host")).toBe(url.host);
        expect(request && headerOf(request, "proxy-authorization")).toBeUndefined();
      }
      expect(new Set(peers)).toEqual(new Set([proxy.outgoing]));
      // One for each host, kept for its second message; tinyproxy keeps none of its own.
      const isForwarded = proxy.proxy.type === "http" && receiver.url.protocol === "http:";
      expect(receiver.connections).toBe(isForwarded ? peers.length : hosts.length);
    }
  });

  test("send() leaves names to a SOCKS 4a proxy, with the user name", async () => {
    await using proxy = await startSocks4aProxy("relay");
    await using receiver = await startReceiver();
    const url = new URL(`http://callback.test:${receiver.port}/`);
    await using callback = openTestCallback(url, { route: toProxied(proxy.proxy) });
    await callback.send(toMessage(), OPTIONS);
    expect(proxy.names).toEqual(["callback.test"]);
  });

  test("send() tells a certificate that cannot be trusted as TLS, through any proxy", async () => {
    await using tinyproxy = await startTinyproxy();
    await using microsocks = await startMicrosocks();
    await using receiver = await startReceiver(() => 200, { tls: TLS });
    for (const { proxy } of [tinyproxy, microsocks]) {
      const route = toProxied(proxy, { tls: toRoute().tls });
      expect(await dial(receiver.url, route)).toMatchObject({
        exception: {
          code: "tls",
          error: `Cannot reach ${receiver.url.host} by TLS: certificate is self-signed`,
        },
      });
    }
    await eventually(() => receiver.openConnections === 0);
  });

  test("send() goes around the system's proxy where it is told to", async () => {
    await using receiver = await startReceiver();
    const proxy = toProxy("http", { port: await freePort() });
    for (const [noProxy, kind] of [
      [["127.0.0.0/8"], "delivered"],
      [["127.0.0.1:1"], "exception"],
    ] as const) {
      const route = toRoute({ proxy: { kind: "system", http: proxy, https: null, noProxy } });
      await using callback = openTestCallback(receiver.url, { route });
      expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe(kind);
    }
  });
});

describe("a proxy that is of no use", () => {
  test.each([
    ["http", HTTP],
    ["http", HTTPS],
    ["socks4", HTTPS],
    ["socks5", HTTP],
  ] as const)("createDial() tells a proxy %s that is not there", async (type, url) => {
    const port = await freePort();
    const dialled = await dial(url, toProxied(toProxy(type, { port })));
    expect(dialled).toEqual(toFailed(url, { port, reason: "cannot be reached: connection refused" }));
  });

  test("createDial() tells a proxy whose name is not found", async () => {
    const proxy: Proxy = { ...toProxy("http", { port: 3128 }), host: "proxy.invalid" };
    const error =
      "Cannot reach callback.test:443: the proxy proxy.invalid:3128 cannot be reached: name not found";
    expect(await dial(HTTPS, toProxied(proxy))).toMatchObject({ exception: { code: "proxy", error } });
  });

  test.each<[string, () => Promise<TestProxy>, string, string]>([
    [
      "tinyproxy",
      () => startTinyproxy(CREDENTIALS),
      "answered 401: it does not accept the credentials",
      "answered 407: it asks for credentials",
    ],
    [
      "microsocks",
      () => startMicrosocks(CREDENTIALS),
      "does not accept the credentials",
      "asks for credentials",
    ],
  ])(
    "createDial() tells credentials that %s does not take, but not what they are",
    async (_name, start, wrong, none) => {
      await using right = await start();
      const { port } = right.proxy;
      for (const [credentials, reason] of [
        [{ username: "relay", password: "wrong-secret" }, wrong],
        [null, none],
      ] as const) {
        const dialled = await dial(HTTPS, toProxied(toProxy(right.proxy.type, { port, credentials })));
        expect(dialled).toEqual(toFailed(HTTPS, { port, reason }));
      }
    },
  );

  test("send() tells a 407 to a forwarded request as the proxy's, not as the callback's", async () => {
    await using tinyproxy = await startTinyproxy(CREDENTIALS);
    await using receiver = await startReceiver();
    const proxy = toProxy("http", { port: tinyproxy.proxy.port });
    await using callback = openTestCallback(receiver.url, { route: toProxied(proxy) });
    const exchange = await callback.send(toMessage(), OPTIONS);
    expect(exchange.outcome).toMatchObject({ kind: "exception", code: "proxy" });
    expect(receiver.requests).toEqual([]);
  });

  test("createDial() tells what SOCKS proxies refuse", async () => {
    await using microsocks = await startMicrosocks();
    await using dante = await startDante("socks4");
    await using other = await startSocks4aProxy("somebody");
    const dead = new URL(`http://127.0.0.1:${await freePort()}/`);
    for (const [{ proxy }, reason] of [
      [microsocks, "cannot reach it: connection refused"],
      [dante, "refused the connection or could not open it"],
      [other, "does not accept the user name"],
    ] as const) {
      const error = `Cannot reach ${dead.host}: the proxy 127.0.0.1:${proxy.port} ${reason}`;
      const dialled = await dial(dead, toProxied({ ...proxy, username: "relay" }));
      expect(dialled).toMatchObject({ kind: "failed", exception: { code: "proxy", error } });
    }
  });

  test("createDial() tells that tinyproxy cannot reach the callback", async () => {
    await using tinyproxy = await startTinyproxy();
    const { port } = tinyproxy.proxy;
    const dead = new URL(`https://127.0.0.1:${await freePort()}/`);
    const error = `Cannot reach ${dead.host}: the proxy 127.0.0.1:${port} answered 500`;
    expect(await dial(dead, toProxied(tinyproxy.proxy))).toMatchObject({
      exception: { code: "proxy", error },
    });
  });

  test.each<[string, Proxy["type"], string | Buffer | null, string]>([
    ["502", "http", "HTTP/1.1 502 Bad Gateway\r\n\r\n", "answered 502"],
    ["302", "http", "HTTP/1.0 302 Found\r\nLocation: http://login.test/\r\n\r\n", "answered 302"],
    ["another protocol", "http", "SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"],
    ["a broken status line", "http", "HTTP/1.1 OK\r\n\r\n", "does not speak HTTP"],
    [
      "an endless answer",
      "http",
      `HTTP/1.1 200 OK\r\nX: ${"x".repeat(20_000)}`,
      "sent an answer that is too long",
    ],
    ["nothing, and closes", "http", null, "closed the connection"],
    ["HTTP", "socks5", "HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak SOCKS 5"],
    ["HTTP", "socks4", "HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak SOCKS 4"],
    ["nothing, and closes", "socks5", null, "closed the connection"],
    ["a way in that was not offered", "socks5", Buffer.of(5, 2), "does not speak SOCKS 5"],
    [
      "an unknown refusal",
      "socks4",
      Buffer.of(0, 99, 0, 0, 0, 0, 0, 0),
      "refused the connection with code 99",
    ],
  ])("createDial() tells a proxy that answers %s (%s)", async (_what, type, answer, reason) => {
    await using proxy = await startTcpReceiver((socket) => {
      socket.once("data", () => (answer === null ? socket.end() : socket.write(answer)));
    });
    const dialled = await dial(HTTPS, toProxied(toProxy(type, { port: proxy.port })));
    expect(dialled).toEqual(toFailed(HTTPS, { port: proxy.port, reason }));
    await eventually(() => proxy.openConnections === 0);
  });

  test("createDial() tells a proxy that resets the connection", async () => {
    await using proxy = await startTcpReceiver((socket) => {
      socket.once("data", () => socket.resetAndDestroy());
    });
    const dialled = await dial(HTTPS, toProxied(toProxy("http", { port: proxy.port })));
    expect(dialled).toEqual(toFailed(HTTPS, { port: proxy.port, reason: "closed the connection" }));
  });

  test.each(["http", "socks4", "socks5"] as const)(
    "createDial() ends after its timeout, exactly, where a proxy %s is silent, dribbles or takes no connection",
    async (type) => {
      await using silent = await startTcpReceiver((socket) => socket.resume());
      await using dribbling = await startTcpReceiver((socket) => {
        const timer = setInterval(() => socket.write(type === "http" ? "HTTP/1.1 100 \r\n\r\n" : ""), 20);
        socket.once("close", () => clearInterval(timer)).resume();
      });
      await using backlog = await openFullBacklog();
      for (const port of [silent.port, dribbling.port, Number(backlog.url.port)]) {
        using watch = startStopwatch();
        const route = toProxied(toProxy(type, { port }), { connectTimeoutMs: TIMEOUT_MS });
        const reason = `gave no connection within ${TIMEOUT_MS} ms`;
        expect(await dial(HTTPS, route)).toEqual(toFailed(HTTPS, { port, reason }));
        watch.expectWithin(TIMEOUT_MS - 2, TIMEOUT_MS + LATE_MS);
      }
      await eventually(() => silent.openConnections + dribbling.openConnections === 0);
    },
  );

  test("createDial() has one timeout for all steps, and names the callback once the proxy has done its part", async () => {
    await using slow = await startTcpReceiver((socket) => {
      socket.once("data", () => {
        const timer = setTimeout(() => socket.write("HTTP/1.1 200 OK\r\n\r\n"), TIMEOUT_MS / 2);
        socket.once("close", () => clearTimeout(timer)).resume();
      });
    });
    using watch = startStopwatch();
    const route = toProxied(toProxy("http", { port: slow.port }), { connectTimeoutMs: TIMEOUT_MS });
    expect(await dial(HTTPS, route)).toMatchObject({
      exception: {
        code: "connect-timeout",
        error: `Cannot reach callback.test:443: no connection within ${TIMEOUT_MS} ms`,
      },
    });
    watch.expectWithin(TIMEOUT_MS - 2, TIMEOUT_MS + LATE_MS);
    await eventually(() => slow.openConnections === 0);
  });

  test.each(["http", "socks4", "socks5"] as const)(
    "createDial() given up while a proxy %s is asked leaves no connection and calls nobody",
    async (type) => {
      const asked = Promise.withResolvers<null>();
      await using silent = await startTcpReceiver((socket) => socket.once("data", () => asked.resolve(null)));
      const calls: Dialled[] = [];
      const route = toProxied(toProxy(type, { port: silent.port }));
      const giveUp = createDial({ url: HTTPS, route })((dialled) => calls.push(dialled));
      await asked.promise;
      giveUp();
      await eventually(() => silent.openConnections === 0);
      expect(calls).toEqual([]);
    },
  );
});

describe("bytes of a proxy", () => {
  test("createDial() keeps what comes with the last answer of a SOCKS proxy", async () => {
    await using proxy = await startTcpReceiver((socket) => {
      socket.once("data", () =>
        socket.write(Buffer.concat([Buffer.of(0, 90, 0, 0, 0, 0, 0, 0), Buffer.from("early")])),
      );
    });
    const dialled = await dial(HTTP, toProxied(toProxy("socks4", { port: proxy.port })));
    if (dialled.kind !== "connected") throw new Error("Not connected");
    const { promise, resolve } = Promise.withResolvers<string>();
    dialled.socket.once("data", (chunk: Buffer) => resolve(chunk.toString())).resume();
    expect(await promise).toBe("early");
    dialled.socket.destroy();
  });

  test("createDial() tells a callback behind a proxy that speaks before TLS has begun", async () => {
    await using proxy = await startTcpReceiver((socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\n\r\n220 mail.test ESMTP\r\n"));
    });
    expect(await dial(HTTPS, toProxied(toProxy("http", { port: proxy.port })))).toMatchObject({
      exception: {
        code: "tls",
        error: "Cannot reach callback.test:443 by TLS: it sent data before the TLS handshake",
      },
    });
    await eventually(() => proxy.openConnections === 0);
  });

  test.each([
    "HTTP/1.1 200 OK",
    "HTTP/1.1 204 No Content",
    "HTTP/1.0 299 Tunnel",
    "HTTP/1.1 201 Created\r\nContent-Length: 7",
  ])("createDial() names itself to an HTTP proxy, and takes %j for a tunnel", async (head) => {
    const requests: string[] = [];
    await using proxy = await startTcpReceiver((socket) => {
      socket.once("data", (request: Buffer) => {
        requests.push(request.toString("latin1"));
        socket.write(`${head}\r\n\r\n`);
        // A TLS record of the handshake: the tunnel is taken for open.
        socket.once("data", (hello: Buffer) => requests.push(`record ${hello[0]}`));
      });
    });
    const giveUp = createDial({ url: HTTPS, route: toProxied(toProxy("http", { port: proxy.port })) })(
      () => {},
    );
    await eventually(() => requests.length === 2);
    giveUp();
    expect(requests[0]).toMatch(
      /^CONNECT callback\.test:443 HTTP\/1\.1\r\nHost: callback\.test:443\r\nUser-Agent: relay\/\S+\r\n\r\n$/u,
    );
    expect(requests[1]).toBe("record 22");
  });

  test("createDial() understands answers that come byte by byte, and interim ones", async () => {
    const hellos: (number | undefined)[] = [];
    await using slow = await startTcpReceiver((socket) => {
      socket.once("data", () => {
        const bytes = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.0 200 Connection established\nVia: x\n\n".split(
          "",
        );
        const timer = setInterval(() => {
          const byte = bytes.shift();
          if (byte === undefined) clearInterval(timer);
          else socket.write(byte);
        }, 1);
        socket.once("close", () => clearInterval(timer));
        socket.once("data", (hello: Buffer) => hellos.push(hello[0]));
      });
    });
    const route = toProxied(toProxy("http", { port: slow.port }), { connectTimeoutMs: 1000 });
    const giveUp = createDial({ url: HTTPS, route })(() => {});
    // A TLS record of the handshake: the tunnel is taken for open.
    await eventually(() => hellos.length > 0);
    expect(hellos).toEqual([0x16]);
    giveUp();
    await eventually(() => slow.openConnections === 0);
  });
});

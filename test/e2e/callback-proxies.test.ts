// Callbacks through proxies, through the binary: of the entrypoint, of the system, of the environment; and proxies that fail.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Proxy } from "#delivery/callback.ts";
import {
  expectDelivered,
  expectRefused,
  type Json,
  type LabServer,
  startLab,
  startLabServer,
  type Way,
} from "../support/callback-lab.ts";
import {
  startDante,
  startMicrosocks,
  startSocks4aProxy,
  startTinyproxy,
  type TestProxy,
  toProxy,
} from "../support/proxies.ts";
import { freePort } from "../support/nats-server.ts";
import { headerOf, type Receiver, startReceiver, startTcpReceiver } from "../support/receiver.ts";
import type { RelayProcess } from "../support/relay.ts";
import { TEST_CERT, TEST_KEY } from "../callback/test-certificate.ts";

const CREDENTIALS = { username: "relay", password: "pass-word" };
const TIMEOUT_MS = 400;
const TYPES = { http: "HTTP", socks4: "SOCKS4", socks5: "SOCKS5" } as const;
const DIRECT = "127.0.0.1";
const SYSTEM = { proxy: { enabled: true, useSystemProxy: true } };
const ssl = { trustStore: { type: "PEM", content: TEST_CERT } };

const stack = new AsyncDisposableStack();
let server: LabServer;
/** By the path, which is the id of the way: where the call came from. */
const peers = new Map<string, string | undefined>();
let plain: Receiver;
let secure: Receiver;
let tinyproxy: TestProxy;
let locked: TestProxy;
let socks: TestProxy;
let socks4a: TestProxy;
let deadPort: number;

beforeAll(async () => {
  server = stack.use(await startLabServer());
  const start = (options: object) =>
    startReceiver((request, _index, response) => {
      peers.set(request.path.slice(1), response.socket?.remoteAddress);
      return 200;
    }, options);
  plain = stack.use(await start({}));
  secure = stack.use(await start({ tls: { key: TEST_KEY, cert: TEST_CERT } }));
  tinyproxy = stack.use(await startTinyproxy());
  locked = stack.use(await startTinyproxy(CREDENTIALS));
  socks = stack.use(await startMicrosocks(CREDENTIALS));
  socks4a = stack.use(await startSocks4aProxy(CREDENTIALS.username));
  deadPort = await freePort();
});
afterAll(() => stack.disposeAsync());

/** As the config file has it. */
function toConfig({ type, host, port, username, password }: Proxy): Json {
  const login = username === null ? {} : { username, password: password ?? "" };
  return { type: TYPES[type], host, port, ...login };
}

function through(proxy: Proxy): Json {
  return { proxy: { enabled: true, useSystemProxy: false, ...toConfig(proxy) } };
}

function callOf(id: string, receiver: Receiver, host = "127.0.0.1"): Json {
  const callbackUrl = new URL(`/${id}`, receiver.url.href.replace("127.0.0.1", host)).href;
  return receiver === secure ? { callbackUrl, ssl } : { callbackUrl };
}

describe("the entrypoint's proxy", () => {
  const proxies: readonly [string, () => Promise<TestProxy>, host: string][] = [
    ["tinyproxy", async () => tinyproxy, "localhost"],
    ["tinyproxy-with-credentials", async () => locked, "localhost"],
    ["microsocks", async () => stack.use(await startMicrosocks()), "localhost"],
    ["microsocks-with-credentials", async () => socks, "localhost"],
    ["dante-socks5", async () => stack.use(await startDante("socks5")), "localhost"],
    ["dante-socks4", async () => stack.use(await startDante("socks4")), "127.0.0.1"],
    ["socks4a-with-user", async () => socks4a, "callback.test"],
  ];
  const outgoing = new Map<string, string>();
  let relay: RelayProcess;

  beforeAll(async () => {
    const ways: Way[] = [];
    for (const [name, start, host] of proxies) {
      const proxy = await start();
      outgoing.set(name, proxy.outgoing);
      for (const [scheme, receiver] of [["http", plain] as const, ["https", secure] as const]) {
        const id = `${name}-${scheme}`;
        ways.push({ id, call: callOf(id, receiver, host), through: through(proxy.proxy) });
      }
    }
    relay = stack.use(await startLab(server, ways));
  });

  test.each(proxies.flatMap(([name]) => [`${name}-http`, `${name}-https`]))(
    "%s: the callback is called from the proxy's address",
    async (id) => {
      await expectDelivered(server, relay, { id });
      expect(peers.get(id)).toBe(outgoing.get(id.replace(/-https?$/, "")));
    },
  );

  test("what is meant for the proxy does not come to the callback", () => {
    for (const request of [...plain.requests, ...secure.requests]) {
      expect(headerOf(request, "proxy-authorization")).toBeUndefined();
    }
  });
});

describe("the system's proxy", () => {
  const way = (id: string, receiver: Receiver, configuration: Json = SYSTEM): Way => ({
    id,
    call: callOf(id, receiver),
    through: configuration,
  });

  test("system.proxy is used by those who ask for it, but not for what noProxy names, and the environment is not read", async () => {
    const elsewhere: Way = {
      ...way("system-exempt", plain),
      call: callOf("system-exempt", plain, "localhost"),
    };
    const ways = [way("system-http", plain), way("system-https", secure), elsewhere];
    await using relay = await startLab(server, [...ways, way("system-unasked", plain, {})], {
      more: { system: { proxy: { ...toConfig(locked.proxy), noProxy: ["localhost"] } } },
      env: { HTTP_PROXY: `http://127.0.0.1:${deadPort}`, NO_PROXY: "*" },
    });
    for (const { id } of [...ways, { id: "system-unasked" }]) await expectDelivered(server, relay, { id });
    expect(peers.get("system-http")).toBe(locked.outgoing);
    expect(peers.get("system-https")).toBe(locked.outgoing);
    expect(peers.get("system-exempt")).toBe(DIRECT);
    expect(peers.get("system-unasked")).toBe(DIRECT);
  });

  test("HTTP_PROXY, HTTPS_PROXY and NO_PROXY are used where the config names no system proxy", async () => {
    const exempt: Way = {
      ...way("environment-exempt", secure),
      call: callOf("environment-exempt", secure, "localhost"),
    };
    const ways = [way("environment-http", plain), way("environment-https", secure), exempt];
    const { port } = socks.proxy;
    await using relay = await startLab(server, ways, {
      env: {
        HTTP_PROXY: `http://127.0.0.1:${deadPort}`,
        http_proxy: `http://127.0.0.1:${tinyproxy.proxy.port}`,
        HTTPS_PROXY: `socks5://${CREDENTIALS.username}:${CREDENTIALS.password}@127.0.0.1:${port}`,
        NO_PROXY: `localhost:${secure.port}`,
      },
    });
    for (const { id } of ways) await expectDelivered(server, relay, { id });
    expect(peers.get("environment-http")).toBe(tinyproxy.outgoing);
    expect(peers.get("environment-https")).toBe(socks.outgoing);
    expect(peers.get("environment-exempt")).toBe(DIRECT);
  });
});

describe("a proxy that fails", () => {
  interface Failing {
    readonly id: string;
    readonly to: "http" | "https";
    /** The proxy, once all of them run. */
    readonly proxy: () => Proxy;
    /** Follows the proxy's address. */
    readonly reason: string;
  }
  const ports = new Map<string, number>();
  const scripted = (name: string) => toProxy("http", { port: ports.get(name) ?? 0 });
  const wrong = { username: "relay", password: "another-password" };
  const login = (proxy: Proxy, credentials: typeof wrong | null) => ({
    ...proxy,
    username: credentials?.username ?? null,
    password: credentials?.password ?? null,
  });
  const dead = (type: Proxy["type"]) => toProxy(type, { port: deadPort });
  const refused = "cannot be reached: connection refused";
  const late = `gave no connection within ${TIMEOUT_MS} ms`;
  const failing: readonly Failing[] = [
    { id: "refused-http", to: "http", proxy: () => dead("http"), reason: refused },
    { id: "refused-https", to: "https", proxy: () => dead("http"), reason: refused },
    { id: "refused-socks4", to: "http", proxy: () => dead("socks4"), reason: refused },
    { id: "refused-socks5", to: "https", proxy: () => dead("socks5"), reason: refused },
    {
      id: "no-credentials",
      to: "https",
      proxy: () => login(locked.proxy, null),
      reason: "answered 407: it asks for credentials",
    },
    {
      id: "wrong-credentials",
      to: "https",
      proxy: () => login(locked.proxy, wrong),
      reason: "answered 401: it does not accept the credentials",
    },
    {
      id: "no-credentials-socks5",
      to: "http",
      proxy: () => login(socks.proxy, null),
      reason: "asks for credentials",
    },
    {
      id: "wrong-credentials-socks5",
      to: "http",
      proxy: () => login(socks.proxy, wrong),
      reason: "does not accept the credentials",
    },
    {
      id: "wrong-user-socks4",
      to: "https",
      proxy: () => ({ ...socks4a.proxy, username: "another-user" }),
      reason: "does not accept the user name",
    },
    { id: "bad-gateway", to: "https", proxy: () => scripted("502"), reason: "answered 502" },
    { id: "silence", to: "https", proxy: () => scripted("silent"), reason: late },
    {
      id: "silence-socks5",
      to: "http",
      proxy: () => ({ ...scripted("silent"), type: "socks5" }),
      reason: late,
    },
  ];
  let relay: RelayProcess;

  beforeAll(async () => {
    const badGateway = await startTcpReceiver((socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"));
    });
    const silent = await startTcpReceiver((socket) => void socket.resume());
    ports.set("502", stack.use(badGateway).port);
    ports.set("silent", stack.use(silent).port);
    const impatient = { http: { connectTimeout: TIMEOUT_MS, readTimeout: TIMEOUT_MS * 3 } };
    const ways = failing.map(({ id, to, proxy, reason }) => ({
      id,
      call: callOf(id, to === "https" ? secure : plain),
      through: { ...(reason === late ? impatient : {}), ...through(proxy()) },
    }));
    const forwarded = {
      id: "forwarded-407",
      call: callOf("forwarded-407", plain),
      through: through(login(locked.proxy, null)),
    };
    const direct = { id: "callback-refuses", call: { callbackUrl: `http://127.0.0.1:${deadPort}/` } };
    const client = { clientId: "relay", clientSecret: "a-secret-of-relay" };
    const oauth2 = { endpoint: `http://127.0.0.1:${plain.port}/token`, ...client };
    const signedIn = {
      id: "token-endpoint",
      call: { ...callOf("token-endpoint", plain), auth: { type: "oauth2", oauth2 } },
      through: through(dead("socks5")),
    };
    relay = stack.use(await startLab(server, [...ways, forwarded, direct, signedIn]));
  });

  test.each(failing.map((row) => [row.id, row] as const))(
    "%s: an exception that names the proxy",
    async (id, { to, proxy, reason }) => {
      const { port } = to === "https" ? secure : plain;
      const error = `Cannot reach 127.0.0.1:${port}: the proxy 127.0.0.1:${proxy().port} ${reason}`;
      await expectRefused(server, relay, { id, cause: "proxy", error });
      expect(peers.has(id)).toBe(false);
    },
  );

  test("a 407 to a request that the proxy was to forward is the proxy's", async () => {
    const error = `Cannot reach 127.0.0.1:${plain.port}: the proxy does not accept the credentials`;
    await expectRefused(server, relay, { id: "forwarded-407", cause: "proxy", error });
  });

  test("a proxy that fails on the way to a token endpoint is named with it", async () => {
    const error =
      `Cannot get an access token from http://127.0.0.1:${plain.port}/token: ` +
      `cannot reach 127.0.0.1:${plain.port}: the proxy 127.0.0.1:${deadPort} ${refused}`;
    await expectRefused(server, relay, { id: "token-endpoint", cause: "token", error });
    expect(plain.requests.map(({ path }) => path)).not.toContain("/token");
  });

  test("a callback that refuses the connection is told apart from a proxy that does", async () => {
    const error = `Cannot reach 127.0.0.1:${deadPort}: connection refused`;
    await expectRefused(server, relay, { id: "callback-refuses", cause: "connect", error });
  });
});

test("a system proxy that is asked for and not there is a fault of the file", async () => {
  await using relay = await startLab(server, [
    { id: "nowhere", call: callOf("nowhere", plain), through: SYSTEM },
  ]);
  expect(await relay.exited).toBe(78);
  expect(relay.stderr()).toContain("entrypoints[0].configuration.proxy.useSystemProxy: ");
});

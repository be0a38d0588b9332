// A listener against clients that open many connections, send slowly, or read nothing: with real sockets.

import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { type ConnectionLimits, planLimits } from "#http/connections.ts";
import { listenTcp, type TcpListener } from "#http/listen.ts";
import type { Fetch } from "#http/fetch-adapter.ts";
import type { ServerTls } from "#config/resolve-server.ts";
import { eventually } from "../support/eventually.ts";
import { createCertificates } from "../support/tls.ts";

const PHASES = { head: 300, body: 600, answer: null, write: 300 } as const;
const PATIENT = { head: 60_000, body: 60_000, answer: null, write: 60_000 } as const;
const REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

interface Client {
  readonly socket: Socket;
  readonly isClosed: () => boolean;
  readonly received: () => string;
}

interface Attack extends AsyncDisposable {
  readonly listener: TcpListener;
  /** Opens a connection, from that address of this host. */
  readonly open: (from?: string, text?: string) => Promise<Client>;
  readonly clients: readonly Client[];
}

const hello: Fetch = async (request) => new Response(`hello ${(await request.text()).length}`);

async function attack(
  limits: Partial<ConnectionLimits>,
  { fetch = hello, tls = null }: { fetch?: Fetch; tls?: ServerTls | null } = {},
): Promise<Attack> {
  const whole = { inAll: 100, ofNetwork: 100, phases: PHASES, ...limits };
  const listener = await listenTcp({ host: "127.0.0.1", port: 0 }, fetch, { tls, limits: whole });
  const port = Number(new URL(listener.address).port);
  const clients: Client[] = [];
  return {
    listener,
    clients,
    async open(from = "127.0.0.1", text = "") {
      const socket = connect({ port, host: "127.0.0.1", localAddress: from });
      let isClosed = false;
      let received = "";
      const { promise, resolve } = Promise.withResolvers<void>();
      socket.once("connect", () => resolve());
      socket.on("data", (chunk) => (received += chunk.toString()));
      socket.on("error", () => {});
      socket.once("close", () => {
        isClosed = true;
        resolve();
      });
      await promise;
      if (text !== "") socket.write(text);
      const client = { socket, isClosed: () => isClosed, received: () => received };
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const { socket } of clients) socket.destroy();
      await listener.close(0);
    },
  };
}

/** Sends one byte at a time until it is closed. */
function drip({ socket, isClosed }: Client): void {
  const timer = setInterval(() => {
    if (isClosed()) clearInterval(timer);
    else socket.write("x");
  }, 20);
}

const countOpen = ({ clients }: Attack) => clients.filter(({ isClosed }) => !isClosed()).length;

test("planLimits() leaves three quarters of the descriptors, and gives a network a quarter of the connections", () => {
  expect(planLimits(256)).toMatchObject({ inAll: 64, ofNetwork: 16 });
  expect(planLimits(65_536)).toMatchObject({ inAll: 1024, ofNetwork: 256 });
});

test("a network over its limit closes its own connections, and nobody else's", async () => {
  await using attacked = await attack({ inAll: 20, ofNetwork: 5, phases: PATIENT });
  const other = await attacked.open("127.0.0.2");
  for (let time = 0; time < 30; time += 1) await attacked.open();
  await eventually(() => countOpen(attacked) === 6);
  other.socket.write(REQUEST);
  await eventually(() => other.received().includes("hello"));
  const newest = attacked.clients.at(-1);
  newest?.socket.write(REQUEST);
  await eventually(() => newest?.received().includes("hello"));
});

test("a listener that is full closes the one that has sent nothing for the longest time", async () => {
  await using attacked = await attack({ inAll: 20, ofNetwork: 5, phases: PATIENT });
  for (let time = 0; time < 60; time += 1) await attacked.open(`127.0.1.${1 + (time % 12)}`);
  await eventually(() => countOpen(attacked) === 20);
  const late = await attacked.open("127.0.0.9", REQUEST);
  await eventually(() => late.received().includes("hello"));
});

test("a connection that is being answered stays, and a new one goes where all are", async () => {
  const answers = Promise.withResolvers<void>();
  let asked = 0;
  const fetch: Fetch = async () => {
    asked += 1;
    await answers.promise;
    return new Response("late");
  };
  await using attacked = await attack({ inAll: 3, phases: PATIENT }, { fetch });
  for (let time = 0; time < 3; time += 1) await attacked.open("127.0.0.1", REQUEST);
  await eventually(() => asked === 3);
  const refused = await attacked.open();
  await eventually(() => refused.isClosed());
  answers.resolve();
  for (const client of attacked.clients.slice(0, 3)) {
    await eventually(() => client.received().includes("late"));
  }
});

test.each<[string, string]>([
  ["nothing", ""],
  ["a head, byte by byte", "GET / HTTP/1.1\r\nHost: localhost\r\nA: "],
  ["a body that stalls", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n\r\n"],
  ["a chunk that stalls", "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n"],
  ["a GET with a body that stalls", "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n\r\n"],
  ["a request, and then half of one", `${REQUEST}GET / HTTP/1.1\r\nA: `],
])("a client that sends %s is closed", async (_, text) => {
  await using attacked = await attack({});
  const silent = await attacked.open("127.0.0.1", text);
  const dripping = await attacked.open("127.0.0.1", text);
  if (text !== "") drip(dripping);
  await eventually(() => silent.isClosed() && dripping.isClosed(), { withinMs: 10_000 });
});

test("a client that does not shake hands, or does so byte by byte, is closed", async () => {
  const directory = await mkdtemp(join(tmpdir(), "relay-connections-"));
  const { server } = await createCertificates(directory);
  await using attacked = await attack({ inAll: 4 }, { tls: server });
  for (let time = 0; time < 8; time += 1) await attacked.open();
  expect(countOpen(attacked)).toBeLessThanOrEqual(8);
  const dripping = await attacked.open();
  dripping.socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1]));
  drip(dripping);
  await eventually(() => countOpen(attacked) === 0, { withinMs: 10_000 });
  await rm(directory, { recursive: true });
});

test.each<[string, () => Response]>([
  ["a large answer", () => new Response(Buffer.alloc(50_000_000))],
  [
    "an endless one",
    () =>
      new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) })),
  ],
])("a client that does not read %s is closed, and its stream ended", async (_, respond) => {
  let isGone = false;
  const fetch: Fetch = ({ signal }) => {
    signal.addEventListener("abort", () => (isGone = true));
    return respond();
  };
  await using attacked = await attack({}, { fetch });
  const { socket } = await attacked.open("127.0.0.1");
  socket.pause();
  socket.write(REQUEST);
  await eventually(() => isGone, { withinMs: 10_000 });
});

test("a client that reads slowly gets its answer, though it takes longer than each of its parts may", async () => {
  const fetch: Fetch = () => new Response(Buffer.alloc(20_000_000, "a"));
  await using attacked = await attack({}, { fetch });
  const { socket, received } = await attacked.open("127.0.0.1", REQUEST);
  const timer = setInterval(() => {
    socket.resume();
    setTimeout(() => socket.pause(), 15);
  }, 50);
  await eventually(() => received().length > 20_000_000);
  clearInterval(timer);
});

test("a client that pipelines gets its answers one after the other, and not too many at once", async () => {
  let atOnce = 0;
  let most = 0;
  const fetch: Fetch = async () => {
    most = Math.max(most, ++atOnce);
    await Bun.sleep(1);
    atOnce -= 1;
    return new Response("hello");
  };
  await using attacked = await attack({ phases: PATIENT }, { fetch });
  const polite = await attacked.open("127.0.0.1", REQUEST.repeat(10));
  await eventually(() => polite.received().split("hello").length === 11);
  const greedy = await attacked.open("127.0.0.1", REQUEST.repeat(1000));
  await eventually(() => greedy.isClosed());
  expect(most).toBe(1);
});

test.each<[string, string, number]>([
  ["no HTTP", "\x16\x03\x01\r\n\r\n", 400],
  ["two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400],
  [
    "a length and chunks",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    400,
  ],
  ["a bare line feed in its head", "GET / HTTP/1.1\r\nHost: a\r\nA: b\n\nGET / HTTP/1.1\r\n\r\n", 400],
  ["a head that is too large", `GET / HTTP/1.1\r\nHost: a\r\nA: ${"a".repeat(100_000)}\r\n\r\n`, 431],
  ["a tunnel", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 0],
])("a client that sends %s is refused", async (_, text, status) => {
  await using attacked = await attack({});
  const client = await attacked.open("127.0.0.1", text);
  await eventually(() => client.isClosed());
  expect(client.received().slice(0, 12)).toBe(status === 0 ? "" : `HTTP/1.1 ${status}`);
});

test("the address of a request is its path, whatever else it names", async () => {
  const fetch: Fetch = ({ url }) => new Response(`<${url}>`);
  await using attacked = await attack({}, { fetch });
  const targets = ["//evil.example/a", "http://evil.example/b?c", "/d/../e"];
  const heads = targets.map((target) => `GET ${target} HTTP/1.1\r\nHost: localhost:1\r\n\r\n`);
  const client = await attacked.open("127.0.0.1", heads.join(""));
  await eventually(() => client.received().includes("/e>"));
  const urls = [...client.received().matchAll(/<(.*)>/gu)].map(([, url]) => url);
  expect(urls).toEqual([
    "http://localhost:1//evil.example/a",
    "http://localhost:1/b?c",
    "http://localhost:1/e",
  ]);
});

test("close() waits for an answer that is under way, and no longer", async () => {
  const over = Promise.withResolvers<void>();
  const fetch: Fetch = () =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          controller.enqueue(new TextEncoder().encode("begun"));
          await over.promise;
          controller.close();
        },
      }),
    );
  await using attacked = await attack({}, { fetch });
  const client = await attacked.open("127.0.0.1", REQUEST);
  const idle = await attacked.open();
  await eventually(() => client.received().includes("begun"));
  const closed = attacked.listener.close(60_000);
  await eventually(() => idle.isClosed());
  over.resolve();
  await closed;
  await eventually(() => client.isClosed());
});

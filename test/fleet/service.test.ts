// The API over NATS on a real server: who may ask, answers of many messages, streams, limits, deadlines, and hostile clients.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { createFleetClient } from "#fleet/client.ts";
import { type FleetCaller, serveFleet } from "#fleet/service.ts";
import { type Connection, openConnection } from "#nats/connection.ts";
import { listen, publishPlain } from "#nats/plain-messages.ts";
import { eventually } from "../support/eventually.ts";
import { createRecordingLogger } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";

const USERS = `
accounts { A { users = [
  { user: relay, password: p, permissions: {
    subscribe: ["fleet.>", "$SRV.>", "_INBOX.>"], publish: ["_INBOX.>", "fleet.*.presence"] } }
  { user: operator, password: p, permissions: { subscribe: ["_INBOX.>"], publish: ["fleet.>", "$SRV.>"] } }
  { user: reader, password: p, permissions: {
    subscribe: ["_INBOX.>"], publish: ["fleet.hosts", "fleet.*.api.read", "$SRV.>"] } }
  { user: nobody, password: p, permissions: { subscribe: ["_INBOX.>", "victim"], publish: ["other"] } }
] } }`;
const ANYTHING = new AbortController().signal;
const LARGE = "0123456789".repeat(400_000);

let stack: AsyncDisposableStack;
let server: NatsServer;
const seen: string[] = [];

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  server = stack.use(await startNatsServer({ configText: USERS, jetstream: false }));
});
afterAll(() => stack.disposeAsync());

async function connectAs(username: string): Promise<Connection> {
  const closing = new AbortController();
  const connection = openConnection(
    {
      servers: [server.url],
      auth: { kind: "user", username, password: "p" },
      tls: null,
      inboxPrefix: "_INBOX",
      name: username,
    },
    { logger: createRecordingLogger(), signal: closing.signal },
  );
  stack.defer(() => connection.close());
  await connection.ready(ANYTHING);
  return connection;
}

/** The routes of a relay, as far as these tests ask. */
function route(request: Request, { mayWrite }: FleetCaller): Response | Promise<Response> {
  const { pathname } = new URL(request.url);
  seen.push(`${request.method} ${pathname}`);
  if (request.method !== "GET" && !mayWrite) return new Response("{}", { status: 403 });
  if (pathname === "/large") return new Response(LARGE, { headers: { etag: '"1"' } });
  if (pathname === "/stream") {
    let number = 0;
    const pull = (controller: ReadableStreamDefaultController<Uint8Array>) => {
      number += 1;
      controller.enqueue(new TextEncoder().encode(`data: ${number}\n\n`));
    };
    const body = new ReadableStream({ pull, cancel: () => void seen.push("left") }, { highWaterMark: 0 });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }
  if (pathname === "/body") return request.text().then((text) => new Response(text));
  return new Response(JSON.stringify({ path: pathname }), {
    headers: { "content-type": "application/json" },
  });
}

async function serve(host: string) {
  const connection = await connectAs("relay");
  const logger = createRecordingLogger();
  const service = serveFleet({
    connection,
    prefix: "fleet",
    host,
    inboxPrefix: "_INBOX",
    version: "1.2.3",
    startedAt: new Date(0),
    logger,
    fetch: route,
    summary: () => ({
      host,
      version: "1.2.3",
      commit: "abc",
      startedAt: new Date(0).toISOString(),
      ready: true,
      reasons: [],
      subscriptions: { running: 1 },
      pending: 0,
    }),
  });
  stack.defer(service.close);
  await connection.flush(5000);
  return { service, connection, logger };
}

async function clientAs(user: string) {
  const connection = await connectAs(user);
  const client = createFleetClient(connection, { prefix: "fleet" });
  const ask = (host: string, method: string, path: string, body: string | null = null) =>
    client.ask(host, { method, path, body, signal: ANYTHING, limitMs: 3000 });
  return { connection, client, ask };
}

/** The plain answers to one message, until it is quiet. */
async function answersTo(connection: Connection, subject: string, payload: string | Uint8Array) {
  const inbox = connection.newInbox();
  const found: { status: string | null; text: string }[] = [];
  const stop = listen(connection, inbox, {
    onMessage: ({ header, data }) =>
      found.push({ status: header("Relay-Status"), text: new TextDecoder().decode(data) }),
  });
  publishPlain(connection, subject, { payload, reply: inbox });
  await eventually(() => found.length > 0);
  stop();
  return found;
}

test("an operator reads and writes, a reader reads, and nobody else is heard", async () => {
  await serve("edge.1");
  const [operator, reader, nobody] = [
    await clientAs("operator"),
    await clientAs("reader"),
    await clientAs("nobody"),
  ];
  expect(await (await operator.ask("edge.1", "POST", "/body", '{"a":1}')).text()).toBe('{"a":1}');
  expect(await (await operator.ask("edge.1", "GET", "/api/status?x=1")).json()).toEqual({
    path: "/api/status",
  });
  expect(await (await reader.ask("edge.1", "GET", "/api/status")).json()).toEqual({ path: "/api/status" });
  expect(reader.ask("edge.1", "POST", "/body")).rejects.toThrow("did not answer");
  // By the reader's subject nothing is written, whatever it says.
  const written = await answersTo(
    reader.connection,
    "fleet.edge_1.api.read",
    '{"method":"POST","path":"/body"}',
  );
  expect(written).toMatchObject([{ status: "403" }]);
  expect(nobody.ask("edge.1", "GET", "/api/status")).rejects.toThrow();
  expect(await reader.client.list(ANYTHING)).toMatchObject([
    { host: "edge.1", subscriptions: { running: 1 } },
  ]);
  expect(operator.ask("edge-none", "GET", "/")).rejects.toThrow("is called edge-none");
});

test("a large answer comes whole in several messages, and a stream for as long as somebody reads", async () => {
  await serve("large");
  const { ask } = await clientAs("operator");
  const response = await ask("large", "GET", "/large");
  expect(response.headers.get("etag")).toBe('"1"');
  expect(await response.text()).toBe(LARGE);
  const stream = await ask("large", "GET", "/stream");
  let text = "";
  for await (const chunk of stream.body ?? []) {
    text += new TextDecoder().decode(chunk);
    if (text.includes("data: 100\n")) break;
  }
  expect(text).toStartWith("data: 1\n\ndata: 2\n");
  await eventually(() => seen.includes("left"));
});

test("a request after its deadline, or for another run of the relay, changes nothing", async () => {
  await serve("late");
  const { connection } = await clientAs("operator");
  const before = seen.length;
  const late = { method: "POST", path: "/late", deadline: new Date(Date.now() - 1).toISOString() };
  expect(await answersTo(connection, "fleet.late.api", JSON.stringify(late))).toMatchObject([
    { status: "408" },
  ]);
  publishPlain(connection, "fleet.late.api", {
    payload: JSON.stringify({ method: "POST", path: "/other", instance: "gone" }),
    reply: connection.newInbox(),
  });
  expect(await answersTo(connection, "fleet.late.api", '{"path":"/last"}')).toMatchObject([
    { status: "200" },
  ]);
  expect(seen.slice(before)).toEqual(["GET /last"]);
});

test("hostile requests end nothing, and no answer goes anywhere but to an inbox", async () => {
  const { service } = await serve("hostile");
  const { connection, ask } = await clientAs("operator");
  const victim = await connectAs("nobody");
  const got: string[] = [];
  listen(victim, "victim", { onMessage: () => got.push("victim") });
  await victim.flush(5000);
  for (const reply of [
    "victim",
    "$JS.API.STREAM.PURGE.S",
    "fleet.hostile.api",
    "_INBOX.>",
    "x".repeat(300),
  ]) {
    publishPlain(connection, "fleet.hostile.api", { payload: '{"path":"/api/status"}', reply });
  }
  for (const payload of [
    "{",
    "[]",
    '{"path":"//evil/x"}',
    '{"path":"/\\r\\nx"}',
    '{"path":"/x","headers":{"a\\r\\n":"b"}}',
    `{"path":"/x","headers":{"a":"${"h".repeat(100_000)}"}}`,
    '{"method":"TRACE","path":"/x"}',
    new Uint8Array([0xff, 0xfe, 0]),
  ]) {
    expect(await answersTo(connection, "fleet.hostile.api", payload)).toMatchObject([{ status: "400" }]);
  }
  const flood = Array.from({ length: 5000 }, () => '{"path":"/flood"}');
  const inbox = connection.newInbox();
  for (const payload of flood) publishPlain(connection, "fleet.hostile.api", { payload, reply: inbox });
  await connection.flush(5000);
  await eventually(async () => (await ask("hostile", "GET", "/after")).ok);
  expect(got).toEqual([]);
  expect(service.fault()).toBeNull();
  expect(seen.filter((line) => line === "GET /flood").length).toBeLessThan(2000);
});

test("two hosts of one name are reported, and refuse what would change something", async () => {
  const [first, second] = [await serve("twin"), await serve("twin")];
  await eventually(() => first.service.fault() !== null && second.service.fault() !== null);
  const { connection, client } = await clientAs("operator");
  const answers = await answersTo(connection, "fleet.twin.api", '{"method":"POST","path":"/twice"}');
  expect(answers[0]).toMatchObject({ status: "409" });
  expect((await client.list(ANYTHING)).filter(({ host }) => host === "twin")).toHaveLength(2);
});

test("it is a service of NATS: PING, INFO and STATS answer as ADR-32 says", async () => {
  await serve("micro");
  const { connection } = await clientAs("reader");
  for (const verb of ["PING", "INFO", "STATS"]) {
    const answers = await answersTo(connection, `$SRV.${verb}.relay`, "");
    const own = answers.map(({ text }) => JSON.parse(text) as object);
    const type = `io.nats.micro.v1.${verb.toLowerCase()}_response`;
    expect(own).toContainEqual(expect.objectContaining({ type, name: "relay", version: "1.2.3" }));
  }
});

test("200 relays are listed within 2 s", async () => {
  const connection = await connectAs("relay");
  const summary = (host: string) => ({
    host,
    id: host,
    version: "1.2.3",
    commit: "abc",
    startedAt: new Date(0).toISOString(),
    now: new Date(0).toISOString(),
    ready: true,
    reasons: [],
    subscriptions: { running: 5 },
    pending: 0,
  });
  for (let number = 0; number < 200; number += 1) {
    stack.defer(
      listen(connection, "fleet.hosts", {
        onMessage: ({ reply }) =>
          void publishPlain(connection, reply ?? "", {
            payload: JSON.stringify(summary(`simulated-${number}`)),
          }),
      }),
    );
  }
  await connection.flush(5000);
  const { client } = await clientAs("reader");
  const found = await client.list(ANYTHING);
  expect(found.filter(({ host }) => host.startsWith("simulated-"))).toHaveLength(200);
});

// Asking a relay: what it answers, refuses, keeps to itself, or never was.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { type Asking, createClient, type OpenedStream } from "#cli/client.ts";
import { findRelay, type Whereabouts } from "#cli/find-relay.ts";
import { messageOf, RelayError } from "#lib/errors.ts";
import { freePort } from "../support/nats-server.ts";
import { startTcpReceiver } from "../support/receiver.ts";
import { temporaryDirectory } from "../support/relay.ts";

const NEVER = new AbortController().signal;

interface Got {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
}

interface Served {
  readonly url: string;
  readonly requests: readonly Got[];
}

async function serve(
  answer: (request: Request) => Response | Promise<Response>,
): Promise<Served & AsyncDisposable> {
  const requests: Got[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch(request) {
      requests.push({ method: request.method, url: request.url, headers: new Headers(request.headers) });
      return answer(request);
    },
  });
  return { url: server.url.href, requests, [Symbol.asyncDispose]: () => server.stop(true) };
}

async function ask(url: string, { token, ...asking }: Asking & { token?: string } = {}) {
  const env = token === undefined ? {} : { RELAY_TOKEN: token };
  const place = await findRelay({ named: undefined, url, env });
  return await createClient(place, NEVER).ask("POST", "api/subscriptions/a/pause", asking);
}

async function failure(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error: unknown = await promise.catch((reason: unknown) => reason);
  if (!(error instanceof RelayError)) throw new Error(`No RelayError: ${messageOf(error)}`);
  return { code: error.code, message: error.message };
}

test("ask() sends JSON and the token below the URL, and resolves with what was answered", async () => {
  await using server = await serve(() => Response.json({ fine: true }));
  const answer = await ask(`${server.url}edge/7`, { token: "a-secret-token", body: { skip: true } });
  expect(answer).toEqual({ kind: "done", value: { fine: true } });
  const [request] = server.requests;
  expect(request?.method).toBe("POST");
  expect(request?.url).toBe(`${server.url}edge/7/api/subscriptions/a/pause`);
  expect(request?.headers.get("authorization")).toBe("Bearer a-secret-token");
  expect(request?.headers.get("content-type")).toBe("application/json");
});

test("ask() goes past a proxy of the environment, which must not see the token", async () => {
  await using server = await serve(() => Response.json({}));
  const before = process.env["HTTP_PROXY"];
  process.env["HTTP_PROXY"] = `http://127.0.0.1:${await freePort()}`;
  try {
    expect(await ask(server.url, { token: "a-secret-token" })).toMatchObject({ kind: "done" });
  } finally {
    if (before === undefined) delete process.env["HTTP_PROXY"];
    else process.env["HTTP_PROXY"] = before;
  }
});

test("ask() tells a refusal by its problem details, clean", async () => {
  const problem = {
    title: "Unprocessable Content",
    detail: "The body\u001b[2J has faults",
    errors: [{ path: "sequence", message: "too\nsmall" }, { path: "", message: "odd" }, 7],
  };
  await using server = await serve(() => Response.json(problem, { status: 422 }));
  expect(await ask(server.url)).toEqual({
    kind: "refused",
    status: 422,
    reason: "The body\\u001b[2J has faults\n  sequence: too\\nsmall\n  odd\n  7",
  });
});

test("ask() tells what is wrong with a query by the option that gave it", async () => {
  const problem = { detail: "The request has faults", errors: [{ path: "webhookId", message: "too short" }] };
  await using server = await serve(() => Response.json(problem, { status: 400 }));
  expect(await ask(server.url)).toMatchObject({
    reason: "The request has faults\n  --webhook-id: too short",
  });
});

test.each([
  [undefined, "Credentials are needed (RELAY_TOKEN is not set)"],
  ["a-wrong-token", "Credentials are needed (the token in RELAY_TOKEN is not accepted)"],
])("ask() with token %p says what to do about a 401", async (token, reason) => {
  await using server = await serve(() =>
    Response.json({ detail: "Credentials are needed" }, { status: 401 }),
  );
  expect(await ask(server.url, token === undefined ? {} : { token })).toEqual({
    kind: "refused",
    status: 401,
    reason,
  });
});

test("ask() follows no redirect", async () => {
  await using other = await serve(() => Response.json({}));
  await using server = await serve(() => Response.redirect(other.url, 302));
  expect(await ask(server.url, { token: "a-secret-token" })).toEqual({
    kind: "refused",
    status: 302,
    reason: "it answered with status 302",
  });
  expect(other.requests).toEqual([]);
});

test("ask() tells another program from a relay", async () => {
  await using server = await serve(() => new Response("<html>"));
  expect(await failure(ask(server.url))).toEqual({
    code: "unavailable",
    message: `The server at ${server.url} is not a relay`,
  });
});

test("ask() waits for an answer no longer than it may", async () => {
  await using server = await serve(() => new Promise<Response>(() => undefined));
  const startedAt = performance.now();
  expect(await failure(ask(server.url, { limitMs: 200 }))).toEqual({
    code: "unavailable",
    message: `The relay at ${server.url} did not answer within 0.2 s`,
  });
  // Else it is 15 s.
  expect(performance.now() - startedAt).toBeLessThan(14_000);
});

test("ask() waits for the end of a body no longer either, and takes no endless one", async () => {
  const mebibyte = new Uint8Array(1024 * 1024);
  await using stalled = await serve(
    () => new Response(new ReadableStream({ start: (it) => it.enqueue(mebibyte) })),
  );
  expect((await failure(ask(stalled.url, { limitMs: 300 }))).message).toContain("did not answer within");
  await using endless = await serve(
    () => new Response(new ReadableStream({ pull: (it) => it.enqueue(mebibyte) })),
  );
  expect((await failure(ask(endless.url))).message).toContain("the answer is larger than 16777216 bytes");
});

test("ask() says of what speaks first, as NATS does, that it does not speak HTTP", async () => {
  await using server = await startTcpReceiver((socket) => {
    socket.once("data", () => socket.end("INFO {}\r\n-ERR 'Unknown Protocol Operation'\r\n"));
  });
  const url = `http://127.0.0.1:${server.port}`;
  expect((await failure(ask(url))).message).toBe(`Cannot ask the relay at ${url}/: it does not speak HTTP`);
});

test("findRelay() says where nobody is", async () => {
  await using directory = await temporaryDirectory();
  const named = join(directory.path, "relay.config.json");
  await Bun.write(named, '{ "server": { "controlSocket": "file" } }');
  await Bun.write(join(directory.path, "file"), "no socket");
  const whereabouts: Whereabouts = { named, url: undefined, env: {} };
  const tried = ["file (connection refused)", ".relay/relay.sock (not found)"].map(
    (text) => `${directory.path}/${text}`,
  );
  expect(await failure(findRelay(whereabouts))).toEqual({
    code: "unavailable",
    message: `No relay is running here: tried ${tried.join(", ")}, /run/relay/relay.sock (not found); name its config with --config, or ask it over the network with --url`,
  });
  const url = `http://127.0.0.1:${await freePort()}`;
  expect(await failure(findRelay({ ...whereabouts, url }))).toEqual({
    code: "unavailable",
    message: `No relay is running at ${url}: connection refused`,
  });
});

test.each([
  ["ftp://127.0.0.1", ""],
  ["http://user:secret-word@127.0.0.1", ""],
  ["http://127.0.0.1/?token=secret-word", ""],
  ["127.0.0.1:8080", ""],
  ["http://127.0.0.1", "secret-word with a space"],
])("findRelay() refuses --url %p with the token %p, and repeats no secret", async (url, token) => {
  const { code, message } = await failure(findRelay({ named: undefined, url, env: { RELAY_TOKEN: token } }));
  expect(code).toBe("usage");
  expect(message).not.toContain("secret-word");
});

async function open(url: string): Promise<OpenedStream> {
  const place = await findRelay({ named: undefined, url, env: {} });
  return await createClient(place, NEVER).open("api/deliveries/stream", { "last-event-id": "7" });
}

test("open() gives an answer piece by piece, and sends the headers that it is given", async () => {
  await using server = await serve(
    () => new Response("one two", { headers: { "content-type": "text/plain" } }),
  );
  const opened = await open(server.url);
  if (opened.kind !== "open") throw new Error(opened.reason);
  let text = "";
  for await (const chunk of opened.chunks) text += new TextDecoder().decode(chunk);
  expect(text).toBe("one two");
  expect(server.requests[0]?.headers.get("last-event-id")).toBe("7");
});

test("open() says why nothing is given", async () => {
  await using server = await serve(() =>
    Response.json({ title: "Conflict", detail: "Not now\u001b[2J" }, { status: 409 }),
  );
  expect(await open(server.url)).toEqual({ kind: "refused", status: 409, reason: "Not now\\u001b[2J" });
});

test("open() rejects where the answer breaks off", async () => {
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome");
        socket.end();
      },
    },
  });
  using stack = new DisposableStack();
  stack.defer(() => listener.stop(true));
  const read = async () => {
    const opened = await open(`http://127.0.0.1:${listener.port}/`);
    if (opened.kind === "open") await Array.fromAsync(opened.chunks);
  };
  const { code, message } = await failure(read());
  expect(code).toBe("unavailable");
  const why = "the connection broke before the answer was complete";
  expect(message).toBe(`Cannot ask the relay at http://127.0.0.1:${listener.port}/: ${why}`);
});

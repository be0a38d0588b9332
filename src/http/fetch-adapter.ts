// HTTP/1.1 on the sockets of a listener: a request of node:http becomes one for `fetch`, and its answer goes back.
//
// node:http parses and writes. Bun.serve would too, but it limits neither the number of its connections nor the time that a
// sender of single bytes, or a client that reads nothing, may take.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import type { Bindings, Caller } from "./caller.ts";
import type { ListenerConnection } from "./connections.ts";

export type Fetch = (request: Request, bindings: Bindings) => Response | Promise<Response>;

interface Origin {
  readonly connection: ListenerConnection;
  readonly caller: Caller;
}

/** Takes a socket of a `Connection`; with TLS, one that is through with its handshake. */
type Serve = (socket: Socket, origin: Origin) => void;

interface Exchange extends Origin {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
}

const WRITE_BYTES = 65_536;
/** Requests of one connection that are under way or wait for those before them. */
const MAX_PIPELINED = 16;
const WITHOUT_BODY: ReadonlySet<string> = new Set(["GET", "HEAD", "TRACE"]);

export function serveHttp(fetch: Fetch): Serve {
  const origins = new WeakMap<Socket, Origin & { turn: Promise<void>; waiting: number }>();
  // The gate refuses a missing Host. The times of node:http do not hold for sockets that it is given: the connection keeps them.
  const http = createServer({ requireHostHeader: false });

  http.on("request", (message, response) => {
    const { socket } = message;
    const origin = origins.get(socket);
    if (origin === undefined || origin.waiting >= MAX_PIPELINED) return void socket.destroy();
    origin.waiting += 1;
    origin.turn = origin.turn.then(async () => {
      await answer({ message, response, connection: origin.connection, caller: origin.caller });
      origin.waiting -= 1;
      if (origin.waiting === 0) origin.connection.enter("head");
    });
  });

  /** Never rejects. */
  async function answer({ message, response, connection, caller }: Omit<Exchange, "signal">): Promise<void> {
    const { socket } = message;
    if (socket.destroyed) return;
    const gone = new AbortController();
    const over = new AbortController();
    const leave = () => gone.abort();
    socket.once("close", leave);
    const exchange: Exchange = { message, response, connection, caller, signal: gone.signal };
    connection.enter("body");
    const beginAnswer = () => connection.enter("answer");
    message.once("end", beginAnswer);
    message.on("error", () => {}); // Its body broke off.
    response.on("error", leave);
    try {
      const request = toRequest(exchange);
      if (request === null) response.writeHead(400, { connection: "close" }).end();
      else await send(await fetch(request, { caller, over: over.signal }), exchange);
    } catch {
      // What the routes themselves did not catch: nothing of it is shown.
      if (response.headersSent) socket.destroy();
      else response.writeHead(500).end();
    }
    if (!response.writableFinished) await untilTaken("finish", exchange);
    socket.off("close", leave);
    message.off("end", beginAnswer);
    over.abort();
    if (!message.complete) socket.destroySoon(); // Nobody reads the rest of its body.
  }

  return (socket, origin) => {
    origins.set(socket, { ...origin, turn: Promise.resolve(), waiting: 0 });
    http.emit("connection", socket);
  };
}

/** Null: its address or its headers are none. */
function toRequest({ message, caller, signal }: Exchange): Request | null {
  const { method = "GET", rawHeaders } = message;
  const headers = new Headers();
  try {
    for (let index = 0; index < rawHeaders.length; index += 2) {
      headers.append(rawHeaders[index] ?? "", rawHeaders[index + 1] ?? "");
    }
    const hasBody = headers.has("transfer-encoding") || (headers.get("content-length") ?? "0") !== "0";
    const body = hasBody && !WITHOUT_BODY.has(method) ? toBody(message) : null;
    if (body === null) message.resume();
    return new Request(toUrl(message.url ?? "", { headers, caller }), { method, headers, body, signal });
  } catch {
    return null;
  }
}

/** Origin form or absolute form (RFC 9112, section 3.2): the authority is `Host` in any case, which the gate checks. */
function toUrl(target: string, { headers, caller }: { headers: Headers; caller: Caller }): string {
  const isSecure = caller.kind === "network" && caller.isSecure;
  const base = URL.parse(`${isSecure ? "https" : "http"}://${headers.get("host") ?? "localhost"}`);
  const origin = base?.origin ?? "http://localhost";
  if (target.startsWith("/")) return origin + target;
  const { pathname, search } = new URL(target);
  return origin + pathname + search;
}

/** It waits unread at its sender's until it is read here. */
function toBody(message: IncomingMessage): ReadableStream<Uint8Array> {
  let isOver = false;
  const finish = (how: () => void) => {
    if (!isOver) how();
    isOver = true;
  };
  return new ReadableStream(
    {
      start(controller) {
        message.on("data", (chunk: Uint8Array) => {
          message.pause();
          if (!isOver) controller.enqueue(chunk);
        });
        message.once("end", () => finish(() => controller.close()));
        message.once("close", () => finish(() => controller.error(new Error("The body broke off"))));
        message.pause();
      },
      pull: () => void message.resume(),
      cancel: () => finish(() => {}),
    },
    { highWaterMark: 0 },
  );
}

/** Rejects if the body of the answer breaks off. */
async function send({ status, headers, body }: Response, exchange: Exchange): Promise<void> {
  const { message, response, signal } = exchange;
  response.statusCode = status;
  for (const [name, value] of headers) if (name !== "set-cookie") response.setHeader(name, value);
  const cookies = headers.getSetCookie();
  if (cookies.length > 0) response.setHeader("set-cookie", cookies);
  const reader = body?.getReader();
  const leave = () => void reader?.cancel().catch(() => {}); // It is over either way.
  if (reader === undefined || message.method === "HEAD") {
    leave();
    return void response.end();
  }
  signal.addEventListener("abort", leave);
  try {
    let part = await reader.read();
    while (!part.done && !signal.aborted) {
      const next = reader.read();
      const isLast = next.then(({ done }) => done);
      // An answer that is there whole has a length.
      if (!response.headersSent && (await Promise.race([isLast, setImmediate(false)]))) {
        response.setHeader("content-length", part.value.byteLength);
      }
      await write(part.value, exchange);
      part = await next;
    }
    response.end();
  } finally {
    signal.removeEventListener("abort", leave);
    leave();
  }
}

async function write(bytes: Uint8Array, exchange: Exchange): Promise<void> {
  const { response, signal } = exchange;
  for (let at = 0; at < bytes.byteLength && !signal.aborted; at += WRITE_BYTES) {
    if (!response.write(bytes.subarray(at, at + WRITE_BYTES))) await untilTaken("drain", exchange);
  }
}

/** Or the client is gone, if only because it takes nothing. */
async function untilTaken(
  event: "drain" | "finish",
  { response, connection, signal }: Exchange,
): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = () => resolve();
  response.once(event, stop);
  signal.addEventListener("abort", stop);
  connection.enter("write");
  await promise;
  response.off(event, stop);
  signal.removeEventListener("abort", stop);
  connection.enter("answer");
}

// Callbacks for tests: a real HTTP server that keeps what it got, and a bare TCP server for what no HTTP server would do.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:https";
import type { TlsOptions } from "node:tls";

export interface ReceivedRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** As they came, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  readonly receivedAt: Date;
  /** Which of the receiver's connections it came over: 1 is the first. */
  readonly connection: number;
}

export type Answer =
  | number
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string | readonly string[]>>;
      readonly body?: string | Uint8Array;
    };

/** Gives an answer, or writes one to `response` itself and returns null. `index` counts from 0. */
export type Respond = (
  request: ReceivedRequest,
  index: number,
  response: ServerResponse,
) => Answer | null | Promise<Answer | null>;

export interface Receiver extends AsyncDisposable {
  readonly url: URL;
  readonly port: number;
  /** Complete requests, in the order of arrival. */
  readonly requests: readonly ReceivedRequest[];
  /** How many connections there have been. */
  readonly connections: number;
  readonly openConnections: number;
  /** How the requests to come are answered. */
  respond: (respond: Respond) => void;
  /** Ends all connections at once, with a FIN. */
  readonly disconnect: () => void;
}

export interface ReceiverOptions {
  /** 0: any free one. */
  readonly port?: number;
  readonly tls?: TlsOptions;
}

/** Answers 200 with an empty body unless told otherwise. Connections stay open until it is disposed. */
export async function startReceiver(
  respond: Respond = () => 200,
  { port = 0, tls }: ReceiverOptions = {},
): Promise<Receiver> {
  const requests: ReceivedRequest[] = [];
  const numbers = new WeakMap<Socket, number>();
  let current = respond;

  const onRequest = (incoming: IncomingMessage, response: ServerResponse) => {
    void receive(incoming, response).catch(() => response.destroy());
  };
  async function receive(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const request: ReceivedRequest = {
      method: incoming.method ?? "",
      path: incoming.url ?? "",
      headers: toPairs(incoming.rawHeaders),
      body: Buffer.concat(chunks),
      receivedAt: new Date(),
      connection: numbers.get(incoming.socket) ?? 0,
    };
    const index = requests.push(request) - 1;
    const answer = await current(request, index, response);
    if (answer !== null) write(response, answer);
  }

  const server = tls === undefined ? createServer(onRequest) : createTlsServer(tls, onRequest);
  server.keepAliveTimeout = 0;
  const sockets = trackSockets(server, tls === undefined ? "connection" : "secureConnection");
  server.on(tls === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    numbers.set(socket, sockets.total());
  });
  const address = await listen(server, port);
  return {
    url: new URL(`${tls === undefined ? "http" : "https"}://127.0.0.1:${address.port}/callback`),
    port: address.port,
    requests,
    get connections() {
      return sockets.total();
    },
    get openConnections() {
      return sockets.open.size;
    },
    respond: (next) => {
      current = next;
    },
    disconnect: () => {
      for (const socket of sockets.open) socket.end();
    },
    [Symbol.asyncDispose]: () => closeServer(server, sockets.open),
  };
}

export interface TcpReceiver extends AsyncDisposable {
  readonly url: URL;
  readonly port: number;
  readonly connections: number;
  readonly openConnections: number;
}

/** Hands each connection to `onConnection`; `index` counts from 0. Errors of the sockets are ignored. */
export async function startTcpReceiver(
  onConnection: (socket: Socket, index: number) => void,
): Promise<TcpReceiver> {
  const server = createTcpServer();
  const sockets = trackSockets(server, "connection");
  server.on("connection", (socket: Socket) => onConnection(socket, sockets.total() - 1));
  const { port } = await listen(server, 0);
  return {
    url: new URL(`http://127.0.0.1:${port}/callback`),
    port,
    get connections() {
      return sockets.total();
    },
    get openConnections() {
      return sockets.open.size;
    },
    [Symbol.asyncDispose]: () => closeServer(server, sockets.open),
  };
}

/** The value of the first header of that name, in any case. */
export function headerOf(request: ReceivedRequest, name: string): string | undefined {
  return request.headers.find(([other]) => other.toLowerCase() === name.toLowerCase())?.[1];
}

function toPairs(flat: readonly string[]): (readonly [string, string])[] {
  return Array.from({ length: flat.length / 2 }, (_, index) => [
    flat[index * 2] ?? "",
    flat[index * 2 + 1] ?? "",
  ]);
}

function write(response: ServerResponse, answer: Answer): void {
  const { status, headers = {}, body } = typeof answer === "number" ? { status: answer } : answer;
  response.writeHead(status, Object.fromEntries(Object.entries(headers).map(toMutable)));
  response.end(body);
}

function toMutable([name, value]: [string, string | readonly string[]]): [string, string | string[]] {
  return [name, typeof value === "string" ? value : [...value]];
}

function trackSockets(server: Server, event: "connection" | "secureConnection") {
  const open = new Set<Socket>();
  let total = 0;
  server.on(event, (socket: Socket) => {
    total += 1;
    open.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => open.delete(socket));
  });
  return { open, total: () => total };
}

async function listen(server: Server, port: number): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Server has no port");
  return address;
}

async function closeServer(server: Server, open: ReadonlySet<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of open) socket.destroy();
  await closed;
}

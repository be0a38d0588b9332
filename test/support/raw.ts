// Both ends as bytes: a receiver that reads nothing into a request, and a publisher past any client library.

import { connect } from "node:net";
import type { NatsServer } from "./nats-server.ts";
import { startTcpReceiver, type TcpReceiver } from "./receiver.ts";

export interface RawRequest {
  readonly requestLine: string;
  /** As they came, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** All of it before the empty line, in Latin-1. */
  readonly head: string;
  readonly body: Buffer;
}

export interface RawReceiver extends TcpReceiver {
  readonly requests: readonly RawRequest[];
  /** The statuses of the next answers; then 200 again. */
  answerNext: (...statuses: number[]) => void;
}

/** Takes requests with a `Content-Length`, one at a time on a connection. */
export async function startRawReceiver(): Promise<RawReceiver> {
  const requests: RawRequest[] = [];
  const statuses: number[] = [];
  const receiver = await startTcpReceiver((socket) => {
    let received = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf("\r\n\r\n");
      const head = received.subarray(0, Math.max(end, 0)).toString("latin1");
      const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? Number.NaN);
      if (end < 0 || !(received.length >= end + 4 + length)) return;
      requests.push(toRequest(head, received.subarray(end + 4)));
      received = Buffer.alloc(0);
      socket.write(`HTTP/1.1 ${statuses.shift() ?? 200} Answer\r\nContent-Length: 0\r\n\r\n`);
    });
  });
  return Object.defineProperties({} as RawReceiver, {
    ...Object.getOwnPropertyDescriptors(receiver),
    requests: { value: requests },
    answerNext: { value: (...next: number[]) => void statuses.push(...next) },
  });
}

function toRequest(head: string, body: Buffer): RawRequest {
  const [requestLine = "", ...lines] = head.split("\r\n");
  const headers = lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
  });
  return { requestLine, headers, head, body };
}

/** Sends the lines as they stand: a lone CR or LF in them, a space in a name. Resolves once the server has read it all. */
export async function publishRaw(
  nats: NatsServer,
  { subject, headerLines, body }: { subject: string; headerLines: readonly string[]; body: string },
): Promise<void> {
  const block = Buffer.from(["NATS/1.0", ...headerLines, "", ""].join("\r\n"), "latin1");
  const socket = connect({ port: nats.port, host: "127.0.0.1" });
  const done = Promise.withResolvers<void>();
  socket.on("error", done.reject);
  socket.on("data", (chunk) => {
    if (chunk.includes("-ERR")) done.reject(new Error(chunk.toString()));
    if (chunk.includes("PONG")) done.resolve();
  });
  socket.write(`CONNECT {"verbose":false,"headers":true}\r\n`);
  socket.write(`HPUB ${subject} ${block.length} ${block.length + body.length}\r\n`);
  socket.write(Buffer.concat([block, Buffer.from(`${body}\r\nPING\r\n`)]));
  await done.promise.finally(() => socket.destroy());
}

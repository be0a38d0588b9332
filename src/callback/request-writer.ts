// Writes an HTTP/1.1 request: head and small body in one write, a large body in a second one.

import type { Socket } from "node:net";

import type { Target } from "./target.ts";

export interface HttpRequest {
  /** By `toRequestPrefix`. */
  readonly prefix: string;
  /** Name and value alternating, of characters that a header can hold. */
  readonly headers: readonly string[];
  readonly body: Uint8Array;
}

interface PrefixSettings {
  readonly method: "POST" | "PUT" | "PATCH";
  readonly target: Target;
  /** Null: `Host` is among the other headers. */
  readonly host: string | null;
  /** False: the server closes the connection after its answer. */
  readonly isKept: boolean;
}

/** Above this size a second write costs less than the copy and its garbage. */
const MAX_COPIED_BYTES = 65_536;

/** The request line and first headers, which all requests to a target share. */
export function toRequestPrefix({ method, target, host, isKept }: PrefixSettings): string {
  const hostLine = host === null ? "" : `host: ${host}\r\n`;
  return `${method} ${target.path} HTTP/1.1\r\n${hostLine}connection: ${isKept ? "keep-alive" : "close"}\r\n`;
}

export function writeRequest(socket: Socket, { prefix, headers, body }: HttpRequest): void {
  let head = prefix;
  for (let index = 1; index < headers.length; index += 2) {
    head += `${headers[index - 1]}: ${headers[index]}\r\n`;
  }
  head += `content-length: ${body.byteLength}\r\n\r\n`;
  if (body.byteLength > MAX_COPIED_BYTES) {
    socket.write(head, "latin1");
    socket.write(body);
    return;
  }
  const bytes = Buffer.allocUnsafe(head.length + body.byteLength);
  bytes.write(head, 0, "latin1");
  bytes.set(body, head.length);
  socket.write(bytes);
}

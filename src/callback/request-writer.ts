// Writes an HTTP/1.1 request: head and small body in one write, a large body in a second one.

import type { Socket } from "node:net";

import type { Target } from "./target.ts";

export interface HttpRequest {
  /** By `toRequestPrefix`. */
  readonly prefix: string;
  /** By `toHeaderLines`: one text, since most are the same from request to request. */
  readonly lines: string;
  readonly body: Uint8Array;
}

interface PrefixSettings {
  readonly method: "POST" | "PUT" | "PATCH";
  readonly target: Target;
  /** null: `Host` is among the other headers. */
  readonly host: string | null;
  /** False: the server closes the connection after its answer. */
  readonly isKept: boolean;
}

/** Above this size a second write costs less than the copy and its garbage. */
const MAX_COPIED_BYTES = 65_536;

/** The request line and first headers, which all requests to a target share. */
export function toRequestPrefix({ method, target, host, isKept }: PrefixSettings): string {
  const hostLine = host === null ? "" : `host: ${host}\r\n`;
  const connectionLine = `connection: ${isKept ? "keep-alive" : "close"}\r\n`;
  return `${method} ${target.path} HTTP/1.1\r\n${hostLine}${connectionLine}${toHeaderLines(target.headers)}`;
}

/** `headers`: name and value alternating, already valid for HTTP. */
export function toHeaderLines(headers: readonly string[]): string {
  let lines = "";
  for (let index = 1; index < headers.length; index += 2) {
    lines += `${headers[index - 1]}: ${headers[index]}\r\n`;
  }
  return lines;
}

/** The inverse of `toHeaderLines`. */
export function readHeaderLines(lines: string): readonly string[] {
  return lines
    .split("\r\n")
    .slice(0, -1)
    .flatMap((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
}

export function writeRequest(socket: Socket, { prefix, lines, body }: HttpRequest): void {
  const head = `${prefix}${lines}content-length: ${body.byteLength}\r\n\r\n`;
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

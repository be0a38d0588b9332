// Checks a message against the server's limits: number and bytes of its headers, and max payload.

import type { MsgHdrs } from "@nats-io/transport-node";

import { MAX_HEADERS } from "./header-block.ts";

/** The server counts header bytes in 16 bits, its control headers included (error 10097). */
const MAX_HEADER_BYTES = 65_535;

/** null: it fits; else the reason. */
export function findExcess(headers: MsgHdrs, body: Uint8Array, maxPayload: number): string | null {
  const headerBytes = encodedLength(headers);
  const count = [...headers].reduce((sum, [, values]) => sum + values.length, 0);
  if (count > MAX_HEADERS) return `${count} headers`;
  if (headerBytes > MAX_HEADER_BYTES) return `headers of ${headerBytes} bytes`;
  const bytes = headerBytes + body.byteLength;
  return bytes > maxPayload ? `${bytes} bytes, of ${maxPayload} that the server takes` : null;
}

/** `NATS/1.0`, a line for each value, and an empty line. */
export function encodedLength(headers: MsgHdrs): number {
  let length = "NATS/1.0\r\n\r\n".length;
  for (const [name, values] of headers) {
    for (const value of values) length += name.length + Buffer.byteLength(value) + ": \r\n".length;
  }
  return length;
}

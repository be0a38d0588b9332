// An unasked-for `100 Continue` is to be ignored (RFC 9110, 15.2), as every other interim answer is; undici breaks off at it.

import type { Socket } from "node:net";

const LINE_START = Buffer.from("HTTP/1.1 100 ", "latin1");
const LAST_DIGIT = 11;
const DIGIT_TWO = 0x32;

/** Makes a `100` that a read begins with into a `102`, which undici ignores. */
export function tolerateContinue(socket: Socket): void {
  const read = socket.read.bind(socket);
  socket.read = (size?: number) => {
    const chunk: unknown = read(size);
    if (Buffer.isBuffer(chunk) && startsWithContinue(chunk)) chunk[LAST_DIGIT] = DIGIT_TWO;
    return chunk;
  };
}

/** Most answers differ in the first digit of the status, which is looked at first. */
function startsWithContinue(chunk: Buffer): boolean {
  return chunk[9] === LINE_START[9] && chunk.subarray(0, LINE_START.length).equals(LINE_START);
}

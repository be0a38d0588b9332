// A dead letter's headers as NATS carries them, and whether they fit.

import { headers, type MsgHdrs } from "@nats-io/transport-node";

import type { Header } from "#delivery/message.ts";

import { MAX_HEADERS } from "./header-block.ts";
import type { LetterSeal } from "./letter-seal.ts";
import { SIGNATURE_HEADER } from "./letter-signature.ts";

/** The server counts them all in 16 bits, those that steer it included (its error 10097). */
const MAX_HEADER_BYTES = 65_535;

/** A header that NATS cannot carry is left out: a name with a space or a colon, a value with a line break. */
export function toLetterHeaders(letter: readonly Header[], stream: string): MsgHdrs {
  const result = headers();
  for (const [name, value] of letter) appendIfPossible(result, name, value);
  result.set("Nats-Expected-Stream", stream);
  expectLast(result, 0);
  return result;
}

/** Of what is stored then: a header that NATS cannot carry is not signed either. False: `signal` aborted. Never rejects. */
export async function signHeaders(
  letter: MsgHdrs,
  { seal, stream, subject, body, signal }: Signing,
): Promise<boolean> {
  const carried = [...letter].flatMap(([name, values]) => values.map((value): Header => [name, value]));
  const signature = await seal.sign({ stream, subject, headers: carried }, body, signal);
  if (signature !== null) letter.set(SIGNATURE_HEADER, signature);
  return signature !== null;
}

interface Signing {
  readonly seal: LetterSeal;
  readonly stream: string;
  readonly subject: string;
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
}

/** The letter is stored only if this is the sequence of the last message of its subject; 0: if there is none. */
export function expectLast(letter: MsgHdrs, sequence: number): void {
  letter.set("Nats-Expected-Last-Subject-Sequence", String(sequence));
}

/** null: they fit; else why not. */
export function findExcess(letter: MsgHdrs, body: Uint8Array, maxPayload: number): string | null {
  const headerBytes = encodedLength(letter);
  const count = [...letter].reduce((sum, [, values]) => sum + values.length, 0);
  if (count > MAX_HEADERS) return `${count} headers`;
  if (headerBytes > MAX_HEADER_BYTES) return `headers of ${headerBytes} bytes`;
  const bytes = headerBytes + body.byteLength;
  return bytes > maxPayload ? `${bytes} bytes, of ${maxPayload} that the server takes` : null;
}

function appendIfPossible(result: MsgHdrs, name: string, value: string): void {
  if (name === "") return;
  try {
    result.append(name, value);
  } catch {
    // Left out, as promised: the letter is worth more than one of its headers.
  }
}

/** `NATS/1.0`, a line for each value, and an empty line. */
export function encodedLength(letter: MsgHdrs): number {
  let length = "NATS/1.0\r\n\r\n".length;
  for (const [name, values] of letter) {
    for (const value of values) length += name.length + Buffer.byteLength(value) + ": \r\n".length;
  }
  return length;
}

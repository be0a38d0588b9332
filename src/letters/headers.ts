// A dead letter's headers as NATS carries them, and whether they fit.

import { headers, type MsgHdrs } from "@nats-io/transport-node";

import { SIGNATURE_HEADER } from "#bucket/signer.ts";
import type { Header } from "#delivery/message.ts";

import type { LetterSigner } from "./signer.ts";

/** Drops headers that NATS cannot carry: a name with a space or a colon, a value with a line break. */
export function toLetterHeaders(letter: readonly Header[], stream: string): MsgHdrs {
  const result = headers();
  for (const [name, value] of letter) appendIfPossible(result, name, value);
  result.set("Nats-Expected-Stream", stream);
  expectLast(result, 0);
  return result;
}

/** Signs the headers that will be stored, without those that NATS cannot carry. False: `signal` aborted. Never rejects. */
export async function signHeaders(
  letter: MsgHdrs,
  { signer, stream, subject, body, signal }: Signing,
): Promise<boolean> {
  const carried = [...letter].flatMap(([name, values]) => values.map((value): Header => [name, value]));
  const signature = await signer.sign({ stream, subject, headers: carried }, body, signal);
  if (signature !== null) letter.set(SIGNATURE_HEADER, signature);
  return signature !== null;
}

interface Signing {
  readonly signer: LetterSigner;
  readonly stream: string;
  readonly subject: string;
  readonly body: Uint8Array;
  readonly signal: AbortSignal;
}

/** Stores the letter only if the last message of its subject has this sequence; 0: only if there is none. */
export function expectLast(letter: MsgHdrs, sequence: number): void {
  letter.set("Nats-Expected-Last-Subject-Sequence", String(sequence));
}

function appendIfPossible(result: MsgHdrs, name: string, value: string): void {
  if (name === "") return;
  try {
    result.append(name, value);
  } catch {
    // Drop it: the letter matters more than one header.
  }
}

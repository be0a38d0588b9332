// The signature of a dead letter: an HMAC-SHA-256 over its stream, subject, headers and body, by which Relay knows its own.
//
//   Relay-Signature: v1=<key id>:<SHA-256 of the body>:<HMAC>     both in base64url
//
// The header contains the digest of the body, so that a list, which reads no bodies, can verify the rest.

import { createHash, createHmac, timingSafeEqual } from "node:crypto";

import { SIGNATURE_HEADER } from "#bucket/signer.ts";
import type { Header } from "#delivery/message.ts";

export interface LetterKey {
  /** Letters, digits, `-` and `_`. */
  readonly id: string;
  readonly secret: Uint8Array;
}

/** `headers`: all of them; the signature skips itself and the server's own `Nats-*`. */
export interface SignedLetter {
  readonly stream: string;
  readonly subject: string;
  readonly headers: readonly Header[];
}

const OWN_NAME = SIGNATURE_HEADER.toLowerCase();
const SIGNATURE = /^v1=([\w-]{1,64}):([\w-]{43}):([\w-]{43})$/;

export function signLetter(letter: SignedLetter, body: Uint8Array, key: LetterKey): string {
  const digest = digestOf(body);
  return `v1=${key.id}:${digest}:${toMac(letter, digest, key).toString("base64url")}`;
}

/** `body` null: it was not read; everything else is verified. */
export function isSigned(
  letter: SignedLetter,
  body: Uint8Array | null,
  findKey: (id: string) => LetterKey | null,
): boolean {
  const [text, ...others] = letter.headers.flatMap(([name, value]) => (isSignature(name) ? [value] : []));
  const [, id, digest, mac] = SIGNATURE.exec(text ?? "") ?? [];
  if (id === undefined || digest === undefined || mac === undefined || others.length > 0) return false;
  const key = findKey(id);
  if (key === null) return false;
  const isSame = timingSafeEqual(toMac(letter, digest, key), Buffer.from(mac, "base64url"));
  return isSame && (body === null || digestOf(body) === digest);
}

/** The text is unambiguous, because names have no colons and values no line breaks. */
function toMac({ stream, subject, headers }: SignedLetter, digest: string, { secret }: LetterKey): Buffer {
  const signed = ["relay dead letter v1", stream, subject, digest, ...toSigned(headers)].join("\n");
  return createHmac("sha256", secret).update(signed).digest();
}

/** Ignores the order of headers and the case of their names. Skips `Nats-*`, which a server adds. */
function toSigned(headers: readonly Header[]): readonly string[] {
  const lines: string[] = [];
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower !== OWN_NAME && !lower.startsWith("nats-")) lines.push(`${lower}:${value.trim()}`);
  }
  return lines.sort();
}

function isSignature(name: string): boolean {
  return name.length === OWN_NAME.length && name.toLowerCase() === OWN_NAME;
}

function digestOf(body: Uint8Array): string {
  return createHash("sha256").update(body).digest("base64url");
}

// The signature of a dead letter: what may change without it, and what may not.

import { expect, test } from "bun:test";
import type { Header } from "#delivery/message.ts";
import { SIGNATURE_HEADER } from "#bucket/signer.ts";
import { isSigned, type SignedLetter, signLetter } from "#letters/signature.ts";

const KEY = { id: "k1", secret: new Uint8Array(32).fill(1) };
const BODY = Buffer.from("body");
const HEADERS: readonly Header[] = [
  ["X-Tenant", "a"],
  ["X-Tenant", "b"],
  ["Relay-Attempts", "3"],
  ["webhook-id", "msg_ORDERS_1_x"],
];
const LETTER: SignedLetter = { stream: "DLQ", subject: "dlq.sub.ORDERS.1-x", headers: HEADERS };
const SIGNATURE: Header = [SIGNATURE_HEADER, signLetter(LETTER, BODY, KEY)];
const SIGNED: SignedLetter = { ...LETTER, headers: [...HEADERS, SIGNATURE] };

function isGenuine(letter: SignedLetter, body: Uint8Array | null = BODY): boolean {
  return isSigned(letter, body, (id) => (id === KEY.id ? KEY : null));
}

test.each<[string, Partial<SignedLetter>]>([
  ["as it was signed", {}],
  ["with its headers in another order", { headers: SIGNED.headers.toReversed() }],
  [
    "with names in another case",
    { headers: SIGNED.headers.map(([name, value]) => [name.toUpperCase(), value]) },
  ],
  ["with what a server adds", { headers: [...SIGNED.headers, ["Nats-Msg-Size", "4"]] }],
])("isSigned() accepts a letter %s", (_case, change) => {
  expect(isGenuine({ ...SIGNED, ...change })).toBe(true);
  expect(isGenuine({ ...SIGNED, ...change }, null)).toBe(true);
});

test.each<[string, Partial<SignedLetter>]>([
  ["without a signature", { headers: HEADERS }],
  ["in another stream", { stream: "OTHER" }],
  ["on another subject", { subject: "dlq.victim.ORDERS.1-x" }],
  ["with one header more", { headers: [...SIGNED.headers, ["X-More", "1"]] }],
  ["with one header less", { headers: SIGNED.headers.slice(1) }],
  ["with another value", { headers: [["X-Tenant", "c"], ...SIGNED.headers.slice(1)] }],
  ["with two signatures", { headers: [...SIGNED.headers, SIGNATURE] }],
  ["with another key", { headers: [...HEADERS, [SIGNATURE_HEADER, SIGNATURE[1].replace("k1", "k2")]] }],
  ["with an unreadable one", { headers: [...HEADERS, [SIGNATURE_HEADER, "v1=k1:x:y"]] }],
])("isSigned() refuses a letter %s", (_case, change) => {
  expect(isGenuine({ ...SIGNED, ...change })).toBe(false);
});

test("isSigned() refuses another body, and ignores a body that was not read", () => {
  expect(isGenuine(SIGNED, Buffer.from("Body"))).toBe(false);
  expect(isGenuine(SIGNED, null)).toBe(true);
});

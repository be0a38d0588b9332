// What NATS says, in Relay's words; and the reference, which has every message of the rooms that speak to NATS.

import { Glob } from "bun";
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { describeConnectionFaults, describeRequestFaults, toNatsWords } from "#nats/fault-words.ts";

const SOURCES = new URL("../../src/", import.meta.url).pathname;

test.each([
  ["'Authorization Violation'", "it does not accept the credentials"],
  ["User Authentication Expired", "the credentials have expired, or were revoked"],
  ["DEPTH_ZERO: self signed certificate", "its certificate is from an unknown authority"],
  [
    "Hostname/IP does not match certificate's altnames: Host: localhost. is not in the cert's altnames: DNS:other",
    "its certificate is for another name",
  ],
  ["server does not support 'tls'", "it does not speak TLS"],
  ["error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER", "it does not begin with TLS"],
  ["timeout", "no answer in time"],
  ["nats.example: name not found", "nats.example: name not found"],
  ["connection refused", "connection refused"],
  ["something new", "something new"],
  ["Authorization Violation of somebody", "Authorization Violation of somebody"],
])("toNatsWords(%p) is %p", (said, words) => expect(toNatsWords(said)).toBe(words));

/** Capitals and `…` stand for what differs. */
function toPattern(row: string): RegExp {
  const parts = row
    .split(/\b[A-Z]{4,}\b|…/u)
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/gu, String.raw`\$&`));
  return new RegExp(`^${parts.join(".+")}$`, "u");
}

/** Of a bug, of the demo, or of the config: no fault of NATS. */
const OTHERS = new Set([
  "Cannot hand over a pulled message",
  "Cannot handle the loss of a consumer",
  "Cannot reach SERVER:",
  "Cannot reach SERVER: X",
  "Cannot start X: no answer from it",
  "Cannot use state.key: X bytes instead of X",
]);

test("describeRequestFaults() has every message of the rooms that speak to NATS", () => {
  const rows = [
    ...(describeConnectionFaults() + describeRequestFaults()).matchAll(/^\| `([^`]+)` \| \S/gmu),
  ].map(([, row]) => toPattern(row ?? ""));
  expect(rows.length).toBeGreaterThan(35);
  const files = ["nats", "consumer", "bucket", "letters"].flatMap((room) =>
    Array.from(new Glob(`${room}/*.ts`).scanSync(SOURCES)),
  );
  const texts = files.flatMap((file) => {
    const source = readFileSync(SOURCES + file, "utf8");
    return [
      ...source.matchAll(/[`"]((?:Cannot |Dead-letter stream |unreadable answer|no answer)[^`"]*)[`"]/gu),
    ].map(([, text = ""]) => text.replaceAll(/\$\{[^}]*\}/gu, "X"));
  });
  expect(texts.length).toBeGreaterThan(25);
  const isListed = (text: string) =>
    OTHERS.has(text) ||
    rows.some(
      (row) =>
        row.test(text.replace("XX:", "X:")) || row.test(`${text}: X`) || row.test(`Cannot reach X: ${text}`),
    );
  expect([...new Set(texts)].filter((text) => !isListed(text))).toEqual([]);
});

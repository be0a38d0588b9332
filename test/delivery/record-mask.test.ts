// What of a record is kept: a body that was cut ends with no part of a secret, and nothing gets longer than it may.

import { expect, test } from "bun:test";
import { cutRecord, maskHeader, maskMessageHeader, toKeptBody } from "#delivery/record-mask.ts";
import { createMask } from "#lib/mask.ts";
import { toRecord } from "../delivery-log/records.ts";

const SECRET = "geheimnis-größer-als-acht";
const mask = createMask([SECRET]);

function maskedBody(answer: Uint8Array, { isCut }: { isCut: boolean }): string {
  const { body } = toKeptBody(answer, { isCut, mask });
  return Buffer.from(body ?? []).toString("latin1");
}

test("toKeptBody() hides the beginning of a secret at the end of a body that was cut, and only there", () => {
  const body = Buffer.from("answer geheimnis-");
  expect(maskedBody(body, { isCut: true })).toBe("answer ***");
  expect(maskedBody(body, { isCut: false })).toBe("answer geheimnis-");
});

test("toKeptBody() hides it also where the body was cut within a character, or is no text", () => {
  const within = Buffer.from("answer geheimnis-gr\u00f6").subarray(0, -1);
  expect(maskedBody(within, { isCut: true })).toBe("answer ***");
  const bytes = Buffer.from([255, ...Buffer.from("geheimni")]);
  expect(maskedBody(bytes, { isCut: true })).toBe("\u00ff***");
  expect(maskedBody(Buffer.from(`\u00ff ${SECRET}`, "latin1"), { isCut: false })).toBe("\u00ff ***");
});

test("toKeptBody() keeps 64 KiB, not within a character, and a copy", () => {
  const message = Buffer.from(`${"x".repeat(64 * 1024 - 1)}ö and more`);
  const { body, isCut } = toKeptBody(message, { isCut: false, mask });
  expect([body?.length, isCut]).toEqual([64 * 1024 - 1, true]);
  message.fill(0);
  expect(body?.[0]).toBe("x".charCodeAt(0));
  expect(toKeptBody(Buffer.from("short"), { isCut: false, mask }).isCut).toBe(false);
});

test.each([
  ["Authorization", "***", "***"],
  ["set-cookie", "***", "***"],
  ["Proxy-Authenticate", "***", "***"],
  ["webhook-signature", "***", "***"],
  ["X-Key", "a ***", "a ***"],
  ["Nats-Subject", "a ***", `a ${SECRET}`],
  ["Relay-Error", "a ***", `a ${SECRET}`],
])("maskHeader() and maskMessageHeader() show %s as %s and %s", (name, answered, sent) => {
  expect(maskHeader([name, `a ${SECRET}`], mask)).toEqual([name, answered]);
  expect(maskMessageHeader([name, `a ${SECRET}`], mask)).toEqual([name, sent]);
});

test("cutRecord() cuts texts", () => {
  const attempt = { date: new Date(), status: 0, durationMs: 1, error: "e".repeat(5000) };
  const long = toRecord({ error: "e".repeat(5000), callbackUrl: "u".repeat(5000), attempts: [attempt] });
  const { error, callbackUrl, attempts } = cutRecord(long);
  expect([error?.length, callbackUrl.length, attempts[0]?.error?.length]).toEqual([1024, 2048, 200]);
});

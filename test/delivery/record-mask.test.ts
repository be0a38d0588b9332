// What of a record is kept: a body that was cut ends with no part of a secret.

import { expect, test } from "bun:test";
import { maskRecord } from "#delivery/record-mask.ts";
import { createMask } from "#lib/mask.ts";
import { toRecord } from "../delivery-log/records.ts";

const SECRET = "geheimnis-größer-als-acht";

function maskedBody(body: Uint8Array, { isCut }: { isCut: boolean }): string {
  const record = toRecord({ response: { headers: null, body, isCut } });
  const masked = maskRecord(record, createMask([SECRET])).response?.body ?? new Uint8Array();
  return Buffer.from(masked).toString("latin1");
}

test("maskRecord() hides the beginning of a secret at the end of a body that was cut, and only there", () => {
  const body = Buffer.from("answer geheimnis-");
  expect(maskedBody(body, { isCut: true })).toBe("answer ***");
  expect(maskedBody(body, { isCut: false })).toBe("answer geheimnis-");
});

test("maskRecord() hides it also where the body was cut within a character, or is no text", () => {
  const within = Buffer.from("answer geheimnis-gr\u00f6").subarray(0, -1);
  expect(maskedBody(within, { isCut: true })).toBe("answer ***");
  const bytes = Buffer.from([255, ...Buffer.from("geheimni")]);
  expect(maskedBody(bytes, { isCut: true })).toBe("\u00ff***");
});

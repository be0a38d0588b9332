// The beginning of an answer in an error: one line of text, without secrets, whatever the callback sends.

import { describe, expect, test } from "bun:test";
import { toErrorExcerpt } from "#callback/excerpt.ts";
import { createMask } from "#lib/mask.ts";

const SECRET = "a-secret-of-the-callback";
const mask = createMask([SECRET]);
const excerptOf = (body: string | Uint8Array, contentType = "text/plain") =>
  toErrorExcerpt(typeof body === "string" ? Buffer.from(body) : body, { contentType, mask });

describe("toErrorExcerpt()", () => {
  test.each([
    ["out of stock", "out of stock"],
    ["  a\r\n\tb\u2028c\u202ed\u0000".replace("\0", ""), "a b c d"],
    ['{"error":"no such order"}', '{"error":"no such order"}'],
    [`token ${SECRET} is wrong`, "token *** is wrong"],
    ["größer", "größer"],
    ["", null],
    [" \n ", null],
  ])("%j: %j", (body, expected) => expect(excerptOf(body)).toBe(expected));

  test("has 200 characters at most, cuts no character and no secret", () => {
    expect(excerptOf("x".repeat(300))).toHaveLength(200);
    expect(excerptOf(`${"x".repeat(198)}😀😀`)).toBe(`${"x".repeat(198)}…`);
    for (let before = 150; before < 2100; before += 1) {
      expect(excerptOf(`${"x ".repeat(before / 2)}${SECRET}`)).not.toContain("a-s");
    }
  });

  test("is valid UTF-8 whatever the content type says, and none of bytes that are no text", () => {
    const latin1 = Buffer.from("größer", "latin1");
    expect(excerptOf(latin1, "text/plain; charset=iso-8859-1")).toBe("größer");
    expect(excerptOf(Buffer.from("größer"), "text/plain; charset=iso-8859-1")).toBe("größer");
    expect(excerptOf("plain", "application/octet-stream")).toBe("plain");
    expect(excerptOf(latin1, "text/plain; charset=utf-8")).toBeNull();
    expect(excerptOf(latin1, "text/plain; charset=no-such-one")).toBeNull();
    expect(excerptOf(new Uint8Array([0x50, 0x4b, 0, 3]))).toBeNull();
    expect(excerptOf(Buffer.from("cut: ä").subarray(0, -1))).toBe("cut:");
  });
});

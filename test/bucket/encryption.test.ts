// Encrypted secrets: decrypted with the same key for the same owner, and by nothing else.

import { expect, test } from "bun:test";

import { RelayError } from "#lib/errors.ts";
import { createBucketCipher } from "#bucket/encryption.ts";

const KEY = new Uint8Array(32).fill(7);
const SECRET = "häckel-und-jäckel 🔑";

async function failureOf(opening: Promise<string>): Promise<RelayError> {
  const error = await opening.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof RelayError) return error;
  throw new Error(`No RelayError: ${String(error)}`);
}

test("encrypt() is undone by decrypt(), and its result contains no secret", async () => {
  const cipher = createBucketCipher(KEY);
  const encrypted = await cipher.encrypt(SECRET, "billing");
  expect(await createBucketCipher(KEY).decrypt(encrypted, "billing")).toBe(SECRET);
  expect(Buffer.from(encrypted, "base64url").includes(SECRET)).toBe(false);
  expect(await cipher.encrypt(SECRET, "billing")).not.toBe(encrypted);
});

test.each([
  ["of another key", new Uint8Array(32).fill(8), "billing", (encrypted: string) => encrypted],
  ["of another owner", KEY, "shipping", (encrypted: string) => encrypted],
  [
    "whose owner was changed",
    KEY,
    "shipping",
    (encrypted: string) => {
      const [, ...rest] = encrypted.split(".");
      const header = JSON.stringify({ alg: "dir", enc: "A256GCM", sub: "shipping" });
      return [Buffer.from(header).toString("base64url"), ...rest].join(".");
    },
  ],
  [
    "that was changed",
    KEY,
    "billing",
    (encrypted: string) => `${encrypted.slice(0, -22)}AAAAAAAAAAAAAAAAAAAAAA`,
  ],
  ["that is no JWE", KEY, "billing", () => "nonsense"],
])("decrypt() rejects a text %s, and its error contains no secret", async (_, key, owner, change) => {
  const encrypted = change(await createBucketCipher(KEY).encrypt(SECRET, "billing"));
  const error = await failureOf(createBucketCipher(key).decrypt(encrypted, owner));
  expect(error.code).toBe("unavailable");
  expect(error.message).toStartWith(`Cannot decrypt the secrets of subscription ${owner}: `);
  expect(Bun.inspect(error)).not.toContain("jäckel");
  expect(Bun.inspect(error)).not.toContain(encrypted);
});

test("decrypt() rejects any other algorithm", async () => {
  const { CompactEncrypt } = await import("jose");
  const wrapped = await new CompactEncrypt(new TextEncoder().encode("x"))
    .setProtectedHeader({ alg: "A256KW", enc: "A256GCM", sub: "billing" })
    .encrypt(KEY);
  await failureOf(createBucketCipher(KEY).decrypt(wrapped, "billing"));
});

test("createBucketCipher() refuses a key of another length", () => {
  expect(() => createBucketCipher(new Uint8Array(16))).toThrow(
    "Cannot use state.key: 16 bytes instead of 32",
  );
});

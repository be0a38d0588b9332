// Sealed secrets: opened with the same key for the same owner, and by nothing else.

import { expect, test } from "bun:test";

import { RelayError } from "#lib/errors.ts";
import { createSealer } from "#bucket/encryption.ts";

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

test("seal() gives what open() takes, and shows nothing of it", async () => {
  const sealer = createSealer(KEY);
  const sealed = await sealer.seal(SECRET, "billing");
  expect(await createSealer(KEY).open(sealed, "billing")).toBe(SECRET);
  expect(Buffer.from(sealed, "base64url").includes(SECRET)).toBe(false);
  expect(await sealer.seal(SECRET, "billing")).not.toBe(sealed);
});

test.each([
  ["of another key", new Uint8Array(32).fill(8), "billing", (sealed: string) => sealed],
  ["of another owner", KEY, "shipping", (sealed: string) => sealed],
  [
    "whose owner was changed",
    KEY,
    "shipping",
    (sealed: string) => {
      const [, ...rest] = sealed.split(".");
      const header = JSON.stringify({ alg: "dir", enc: "A256GCM", sub: "shipping" });
      return [Buffer.from(header).toString("base64url"), ...rest].join(".");
    },
  ],
  ["that was changed", KEY, "billing", (sealed: string) => `${sealed.slice(0, -22)}AAAAAAAAAAAAAAAAAAAAAA`],
  ["that is no JWE", KEY, "billing", () => "nonsense"],
])("open() rejects a text %s, without a secret", async (_, key, owner, change) => {
  const sealed = change(await createSealer(KEY).seal(SECRET, "billing"));
  const error = await failureOf(createSealer(key).open(sealed, owner));
  expect(error.code).toBe("unavailable");
  expect(error.message).toStartWith(`Cannot open the secrets of subscription ${owner}: `);
  expect(Bun.inspect(error)).not.toContain("jäckel");
  expect(Bun.inspect(error)).not.toContain(sealed);
});

test("open() takes no other algorithm than its own", async () => {
  const { CompactEncrypt } = await import("jose");
  const wrapped = await new CompactEncrypt(new TextEncoder().encode("x"))
    .setProtectedHeader({ alg: "A256KW", enc: "A256GCM", sub: "billing" })
    .encrypt(KEY);
  await failureOf(createSealer(KEY).open(wrapped, "billing"));
});

test("createSealer() refuses a key of another length", () => {
  expect(() => createSealer(new Uint8Array(16))).toThrow("Cannot use state.key: 16 bytes instead of 32");
});

// Keys from a file: each type of key checks the algorithms that are its own.

import { exportSPKI } from "jose";
import { expect, test } from "bun:test";
import { parseKeyFile } from "#config/key-file.ts";
import { createTokenAuth } from "#http/auth-jwt.ts";
import { createKey, signToken, startAuthority } from "./authority.ts";
import { testLogger } from "./gated.ts";

const RSA = await createKey("RS256");
const EC = await createKey("ES384", "second");
const SECRET = Buffer.alloc(40, 7);
const SECRET_KEY = { alg: "HS256", kid: null, privateKey: SECRET };

/** Checks tokens with the keys of a file of that content. */
async function authOf(text: string) {
  await using authority = await startAuthority();
  const file = parseKeyFile(text);
  if (file.kind === "unusable") throw new Error(file.message);
  const keys = { kind: "file", path: "/keys", keys: file.keys } as const;
  return createTokenAuth({ ...authority.settings, keys }, { logger: testLogger() });
}

test("createFileKeys() takes a public key in PEM for any kid", async () => {
  const authenticate = await authOf(await exportSPKI(RSA.publicKey));
  for (const kid of [null, "first", "of-the-authority"]) {
    expect(await authenticate(await signToken({ ...RSA, kid }))).toMatchObject({ kind: "valid" });
  }
  expect(await authenticate(await signToken(await createKey("RS256")))).toMatchObject({ kind: "invalid" });
});

test("createFileKeys() takes no public key for a secret", async () => {
  const pem = await exportSPKI(RSA.publicKey);
  const authenticate = await authOf(pem);
  const forged = await signToken({ alg: "HS256", kid: null, privateKey: new TextEncoder().encode(pem) });
  expect(await authenticate(forged)).toMatchObject({ kind: "invalid" });
});

test("createFileKeys() takes each key of a set, by its kid", async () => {
  const authenticate = await authOf(JSON.stringify({ keys: [RSA.jwk, EC.jwk] }));
  expect(await authenticate(await signToken(RSA))).toMatchObject({ kind: "valid" });
  expect(await authenticate(await signToken(EC))).toMatchObject({ kind: "valid" });
  expect(await authenticate(await signToken({ ...RSA, kid: "second" }))).toMatchObject({ kind: "invalid" });
});

test("createFileKeys() takes a secret for the algorithms that it is long enough for", async () => {
  const authenticate = await authOf(JSON.stringify({ kty: "oct", k: SECRET.toString("base64url") }));
  expect(await authenticate(await signToken(SECRET_KEY))).toMatchObject({ kind: "valid" });
  expect(await authenticate(await signToken({ ...SECRET_KEY, alg: "HS384" }))).toMatchObject({
    kind: "invalid",
  });
});

test("createFileKeys() holds a secret to its own alg and kid", async () => {
  const key = { kty: "oct", kid: "own", alg: "HS256", k: Buffer.alloc(64, 7).toString("base64url") };
  const authenticate = await authOf(JSON.stringify(key));
  const signing = { alg: "HS256", kid: "own", privateKey: Buffer.alloc(64, 7) };
  expect(await authenticate(await signToken(signing))).toMatchObject({ kind: "valid" });
  expect(await authenticate(await signToken({ ...signing, alg: "HS512" }))).toMatchObject({
    kind: "invalid",
  });
  expect(await authenticate(await signToken({ ...signing, kid: "other" }))).toMatchObject({
    kind: "invalid",
  });
});

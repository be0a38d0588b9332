// Files of keys for tokens: what they may hold, and what is refused without showing it.

import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { expect, test } from "bun:test";
import { parseKeyFile } from "#config/key-file.ts";
import { TEST_CERT } from "../callback/test-certificate.ts";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const small = generateKeyPairSync("rsa", { modulusLength: 1024 });
const ed25519 = generateKeyPairSync("ed25519");
const x25519 = generateKeyPairSync("x25519");
const pemOf = (key: KeyObject) =>
  key.export({ type: key.type === "public" ? "spki" : "pkcs8", format: "pem" });
const jwkOf = (key: KeyObject) => key.export({ format: "jwk" });
const secret = (bytes: number) => ({ kty: "oct", k: Buffer.alloc(bytes, 1).toString("base64url") });

test.each([
  ["a public key", pemOf(rsa.publicKey), ["RSA"]],
  ["a certificate", TEST_CERT, ["EC"]],
  ["a chain, of which the first counts", TEST_CERT + TEST_CERT, ["EC"]],
  ["a JWK", JSON.stringify(jwkOf(ed25519.publicKey)), ["OKP"]],
  ["a secret", JSON.stringify(secret(32)), ["oct"]],
  ["a set", JSON.stringify({ keys: [jwkOf(rsa.publicKey), secret(64)] }), ["RSA", "oct"]],
])("parseKeyFile() takes %s", (_, text, types) => {
  const file = parseKeyFile(text);
  expect(file.kind === "keys" ? file.keys.map(({ kty }) => kty) : file.message).toEqual([...types]);
});

const ALLOWED = "allowed: a public key or a certificate in PEM, a JWK, or a set of JWKs";

test.each([
  ["nothing", "", ALLOWED],
  ["garbage", "a-secret-of-the-test", ALLOWED],
  ["broken JSON", '{ "kty": ', ALLOWED],
  ["an empty set", '{ "keys": [] }', ALLOWED],
  ["a key of no type", '{ "keys": [{ "n": "AQ" }, null] }', ALLOWED],
  ["a key without its parts", '{ "kty": "RSA" }', ALLOWED],
  ["a kid that is no text", JSON.stringify({ ...secret(32), kid: 7 }), ALLOWED],
  ["a private key", pemOf(rsa.privateKey), `found a private key, ${ALLOWED}`],
  ["a private JWK", JSON.stringify(jwkOf(rsa.privateKey)), `found a private key, ${ALLOWED}`],
  ["a short RSA key", pemOf(small.publicKey), "found an RSA key of 1024 bits, allowed: at least 2048"],
  ["a short secret", JSON.stringify(secret(31)), "found a secret of 31 bytes, allowed: at least 32"],
  ["a key that signs nothing", JSON.stringify(jwkOf(x25519.publicKey)), "allowed: an OKP key on Ed25519"],
  ["too many", JSON.stringify({ keys: Array(101).fill(secret(32)) }), "found 101 keys, allowed: at most 100"],
])("parseKeyFile() refuses %s", (_, text, message) => {
  expect(parseKeyFile(text)).toEqual({ kind: "unusable", message });
});

// Keys that sign assertions: from where they come, and which are refused.

import { expect, test } from "bun:test";
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import type { AssertionSettings } from "#delivery/callback.ts";
import { configOf, EMPTY_CONTEXT, faultsOf, type Json, withDelivery } from "./parse-for-test.ts";
import {
  EC_CERTIFICATE,
  EC_KEY,
  ENCRYPTED_KEY,
  ISSUER,
  RSA_CERTIFICATE,
  RSA_KEY,
  RSA_KEY_PKCS1,
  SMALL_KEY,
} from "./pem-fixtures.ts";
import { JKS, LEGACY_PKCS12, STORE_PASSWORD } from "./store-fixtures.ts";

const JWT = "subscriptions[0].configuration.auth.jwtProfileOauth2";
const bare = (pem: string) => pem.replaceAll(/-----.*-----|\n/g, "");
const options = (more: Json = {}) => ({ keystoreOptions: { storePassword: STORE_PASSWORD, ...more } });
const withJwt = (more: Json) =>
  withDelivery({
    auth: {
      type: "jwtProfileOauth2",
      jwtProfileOauth2: {
        issuer: "i",
        subject: "s",
        audience: "https://auth.example.com/",
        signatureAlgorithm: "RSA_RS256",
        keySource: "INLINE",
        ...more,
      },
    },
  });
const files = (bytes: Buffer | string) => ({
  readBytes: (path: string) => (path === "/keys/a" ? Buffer.from(bytes) : EMPTY_CONTEXT.readBytes(path)),
});

async function assertionOf(more: Json, context = {}): Promise<AssertionSettings> {
  const { auth } = (await configOf(withJwt(more), context)).subscriptions[0]?.callback ?? { auth: null };
  if (auth?.kind !== "jwt-profile") throw new Error("no assertion");
  return auth.assertion;
}

/** PKCS#8 of the RSA key, in one form. */
const EXPECTED = createPrivateKey(RSA_KEY).export({ type: "pkcs8", format: "pem" });

test.each<[string, Json, object]>([
  ["PEM", { keyContent: RSA_KEY }, {}],
  ["PEM in PKCS#1", { keyContent: RSA_KEY_PKCS1 }, {}],
  ["bare base64", { keyContent: bare(RSA_KEY) }, {}],
  ["bare base64 of PKCS#1", { keyContent: bare(RSA_KEY_PKCS1) }, {}],
  ["the content of a PEM file", { keySource: "PEM", keyContent: RSA_KEY }, {}],
  ["a PEM file", { keySource: "PEM", keyContent: "/keys/a" }, files(RSA_KEY)],
  [
    "a PKCS12 file",
    { keySource: "PKCS12", keyContent: "/keys/a", ...options() },
    files(Buffer.from(LEGACY_PKCS12, "base64")),
  ],
  ["PKCS12 in base64", { keySource: "PKCS12", keyContent: LEGACY_PKCS12, ...options() }, {}],
  [
    "a JKS file",
    { keySource: "JKS", keyContent: "/keys/a", ...options({ alias: "rsa" }) },
    files(Buffer.from(JKS, "base64")),
  ],
  [
    "JKS in base64, which begins as a path does",
    { keySource: "JKS", keyContent: JKS.trim(), ...options({ alias: "rsa" }) },
    {},
  ],
])("readSigningKey() takes an RSA key from %s", async (_, jwt, context) => {
  expect((await assertionOf(jwt, context)).key).toEqual({ kind: "rsa", pem: EXPECTED });
});

test.each<[string, string, Json, Buffer]>([
  ["as it is", "HMAC_HS256", { keyContent: "é".repeat(16) }, Buffer.from("é".repeat(16))],
  [
    "in base64",
    "HMAC_HS512",
    { keyContent: Buffer.alloc(64, 7).toString("base64"), secretBase64Encoded: true },
    Buffer.alloc(64, 7),
  ],
  [
    "in base64url",
    "HMAC_HS384",
    { keyContent: Buffer.alloc(48, 255).toString("base64url"), secretBase64Encoded: true },
    Buffer.alloc(48, 255),
  ],
])("readSigningKey() takes an HMAC secret %s", async (_, signatureAlgorithm, jwt, secret) => {
  const { key } = await assertionOf({ signatureAlgorithm, ...jwt });
  expect(key).toEqual({ kind: "hmac", secret });
});

test.each<[string, Json]>([
  ["PEM", { keyContent: `${ISSUER}${RSA_KEY}${EC_CERTIFICATE}${RSA_CERTIFICATE}` }],
  ["a store", { keySource: "PKCS12", keyContent: LEGACY_PKCS12, ...options() }],
])("readSigningKey() returns the chain for X5C from %s, the signer's certificate first", async (_, jwt) => {
  const { chain } = await assertionOf({ ...jwt, x509CertChain: "X5C" });
  expect(chain).toEqual([RSA_CERTIFICATE, ISSUER]);
  const signer = new X509Certificate(chain[0] ?? "");
  expect(signer.publicKey.equals(createPublicKey(RSA_KEY))).toBe(true);
});

test("readSigningKey() returns no chain without X5C", async () => {
  expect((await assertionOf({ keyContent: `${RSA_KEY}${RSA_CERTIFICATE}` })).chain).toEqual([]);
});

const secret = (length: number) => ({ keyContent: "s".repeat(length) });

test.each<[string, Json, string]>([
  ["an EC key", { keyContent: EC_KEY }, "keyContent: RSA_RS256 needs an RSA key"],
  ["a short RSA key", { keyContent: SMALL_KEY }, "keyContent: the key has 1024 bits, allowed: at least 2048"],
  ["garbage", { keyContent: "garbage!" }, "keyContent: it holds no private key in PEM"],
  ["base64 of garbage", { keyContent: "Z2FyYmFnZQ==" }, "keyContent: cannot read the private key in it"],
  [
    "an encrypted key",
    { keyContent: ENCRYPTED_KEY },
    "keyContent: the key is encrypted, allowed: a key without a password, or a PKCS12 or JKS store",
  ],
  [
    "a file that is not there, without its name",
    { keySource: "PEM", keyContent: "/keys/none" },
    "keyContent: cannot read the file that it names: no such file",
  ],
  [
    "a relative path to PEM",
    { keySource: "PEM", keyContent: "key.pem" },
    "keyContent: allowed: the key in PEM, or an absolute path",
  ],
  [
    "a relative path to a store",
    { keySource: "JKS", keyContent: "./keys.jks", ...options() },
    "keyContent: allowed: the store in base64, or an absolute path",
  ],
  [
    "a wrong store password",
    { keySource: "PKCS12", keyContent: LEGACY_PKCS12, ...options({ storePassword: "wrong" }) },
    "keystoreOptions.storePassword: it is not the password of the store",
  ],
  [
    "a store without its password",
    { keySource: "PKCS12", keyContent: LEGACY_PKCS12 },
    "keystoreOptions.storePassword: missing, because the store has a password",
  ],
  [
    "an unknown alias",
    { keySource: "JKS", keyContent: JKS, ...options({ alias: "main" }) },
    'keystoreOptions.alias: no key is named "main", known: "ec", "rsa"',
  ],
  [
    "a wrong key password",
    { keySource: "JKS", keyContent: JKS, ...options({ alias: "rsa", keyPassword: "wrong" }) },
    "keystoreOptions.keyPassword: it is not the password of the key",
  ],
  [
    "X5C without a certificate",
    { keyContent: RSA_KEY, x509CertChain: "X5C" },
    "x509CertChain: X5C needs the certificate of the key, which keyContent does not hold",
  ],
  [
    "X5C with the certificate of another key",
    { keyContent: `${RSA_KEY}${EC_CERTIFICATE}`, x509CertChain: "X5C" },
    "x509CertChain: X5C needs the certificate of the key, which keyContent does not hold",
  ],
  [
    "X5C with an HMAC",
    { signatureAlgorithm: "HMAC_HS256", ...secret(32), x509CertChain: "X5C" },
    "x509CertChain: X5C is for RSA only, allowed: NONE",
  ],
  ...[["HMAC_HS256", 32] as const, ["HMAC_HS384", 48] as const, ["HMAC_HS512", 64] as const].map(
    ([signatureAlgorithm, min]): [string, Json, string] => [
      `a secret too short for ${signatureAlgorithm}`,
      { signatureAlgorithm, ...secret(min - 1) },
      `keyContent: the secret has ${min - 1} bytes, allowed: at least ${min}, as ${signatureAlgorithm} needs`,
    ],
  ),
  [
    "a secret that is no base64",
    { signatureAlgorithm: "HMAC_HS256", keyContent: "no base64!", secretBase64Encoded: true },
    "keyContent: allowed: base64, because secretBase64Encoded is true",
  ],
])("readSigningKey() refuses %s", async (_, jwt, expected) => {
  expect(await faultsOf(withJwt(jwt))).toEqual([`${JWT}.${expected}`]);
});

test("readSigningKey() looks nothing up without secrets", async () => {
  const context = { withoutSecrets: true };
  expect(await faultsOf(withJwt({ keySource: "PEM", keyContent: "/keys/none" }), context)).toEqual([]);
  expect(await faultsOf(withJwt({ keyContent: { env: "UNSET" } }), context)).toEqual([]);
});

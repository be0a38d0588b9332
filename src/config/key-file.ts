// Parses a file of keys that verify tokens: a public key or certificate in PEM, a JWK, or a set of JWKs.

import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { messageOf } from "#lib/errors.ts";

/** A JWK, RFC 7517: RSA, EC or OKP without their private parts, or `oct`, which is a secret. */
export interface VerificationKey {
  readonly kty: string;
  readonly kid?: string;
  readonly alg?: string;
  /** The secret of an `oct` key, in base64url. */
  readonly k?: string;
}

type KeyFile =
  | { readonly kind: "keys"; readonly keys: readonly VerificationKey[] }
  | { readonly kind: "unusable"; readonly message: string };

const ALLOWED = "allowed: a public key or a certificate in PEM, a JWK, or a set of JWKs";
const CURVES: readonly unknown[] = ["P-256", "P-384", "P-521"];
const MIN_RSA_BITS = 2048;
const MIN_SECRET_BYTES = 32;
const MAX_KEYS = 100;

/** The message of a fault contains nothing of the file. */
export function parseKeyFile(text: string): KeyFile {
  try {
    const keys = text.trimStart().startsWith("{") ? parseJwks(text) : [parsePem(text)];
    return { kind: "keys", keys };
  } catch (error) {
    return { kind: "unusable", message: messageOf(error) };
  }
}

/** Takes the first certificate of a chain: the others belong to its issuers. */
function parsePem(text: string): VerificationKey {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/u.test(text)) throw new Error(`found a private key, ${ALLOWED}`);
  return checkKey(exportKey(text));
}

function exportKey(text: string): unknown {
  try {
    const key: KeyObject = /-----BEGIN CERTIFICATE-----/u.test(text)
      ? new X509Certificate(text).publicKey
      : createPublicKey(text);
    return key.export({ format: "jwk" });
  } catch {
    throw new Error(ALLOWED);
  }
}

function parseJwks(text: string): readonly VerificationKey[] {
  const found = parseJson(text);
  const keys: unknown = "keys" in found ? found.keys : [found];
  if (!Array.isArray(keys) || keys.length === 0) throw new Error(ALLOWED);
  if (keys.length > MAX_KEYS) throw new Error(`found ${keys.length} keys, allowed: at most ${MAX_KEYS}`);
  return keys.map(checkKey);
}

function parseJson(text: string): object {
  try {
    return JSON.parse(text) as object; // It begins with a brace.
  } catch {
    throw new Error(ALLOWED);
  }
}

function checkKey(key: unknown): VerificationKey {
  if (!isKey(key)) throw new Error(ALLOWED);
  if (key.kty === "oct") {
    const { length } = Buffer.from(key.k ?? "", "base64url");
    if (length >= MIN_SECRET_BYTES) return key;
    throw new Error(`found a secret of ${length} bytes, allowed: at least ${MIN_SECRET_BYTES}`);
  }
  if ("d" in key) throw new Error(`found a private key, ${ALLOWED}`);
  const bits = modulusLength(key);
  if (key.kty === "RSA" && bits < MIN_RSA_BITS) {
    throw new Error(`found an RSA key of ${bits} bits, allowed: at least ${MIN_RSA_BITS}`);
  }
  const curve: unknown = "crv" in key ? key.crv : null;
  if (key.kty === "EC" && !CURVES.includes(curve))
    throw new Error(`allowed: an EC key on ${CURVES.join(", ")}`);
  if (key.kty === "OKP" && curve !== "Ed25519") throw new Error("allowed: an OKP key on Ed25519");
  return key;
}

function isKey(key: unknown): key is VerificationKey {
  if (typeof key !== "object" || key === null || !("kty" in key)) return false;
  if (!["RSA", "EC", "OKP", "oct"].some((type) => type === key.kty)) return false;
  return (["kid", "alg", "k"] as const).every(
    (name) => !(name in key) || typeof Reflect.get(key, name) === "string",
  );
}

function modulusLength(key: VerificationKey): number {
  try {
    return createPublicKey({ key: { ...key }, format: "jwk" }).asymmetricKeyDetails?.modulusLength ?? 0;
  } catch {
    throw new Error(ALLOWED);
  }
}

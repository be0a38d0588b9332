// Decrypts PKCS12 with its password-based ciphers: PBES2, and 3DES and RC2-40 of old files.

import { createDecipheriv, createHmac, timingSafeEqual } from "node:crypto";
import forge from "node-forge";
import { type Asn1, integerOf, octetsOf, oidNameOf, partAt, partsOf } from "./asn1.ts";
import type { IterationBudget } from "./budget.ts";
import { type Derivation, derivePbkdf2, derivePkcs12, type Digest, isDigest, lengthOf } from "./derive.ts";
import { StoreError } from "./opened.ts";

export interface Passphrase {
  readonly password: string;
  readonly budget: IterationBudget;
}

interface Encrypted extends Passphrase {
  readonly encrypted: Buffer;
}

/** By forge's name of the scheme. */
const CIPHERS: Readonly<Record<string, { readonly name: string; readonly keyBytes: number }>> = {
  "aes128-CBC": { name: "aes-128-cbc", keyBytes: 16 },
  "aes192-CBC": { name: "aes-192-cbc", keyBytes: 24 },
  "aes256-CBC": { name: "aes-256-cbc", keyBytes: 32 },
  "des-EDE3-CBC": { name: "des-ede3-cbc", keyBytes: 24 },
};
const OLD_KEY_BYTES: Readonly<Record<string, number>> = {
  "pbeWithSHAAnd3-KeyTripleDES-CBC": 24,
  "pbewithSHAAnd40BitRC2-CBC": 5,
};
const OLD_VECTOR_BYTES = 8;
/** Bytes in a slice for ciphers that the engine lacks and a slow library decrypts. */
const RC2_BYTES_AT_ONCE = 4096;

/** Rejects with a StoreError; a wrong password may also give meaningless bytes. */
export async function decrypt(algorithm: Asn1, encrypted: Encrypted): Promise<Buffer> {
  const name = oidNameOf(partAt(algorithm, 0)) ?? "";
  const parameters = partAt(algorithm, 1);
  if (name === "pkcs5PBES2") return decryptPbes2(parameters, encrypted);
  const keyBytes = Object.hasOwn(OLD_KEY_BYTES, name) ? OLD_KEY_BYTES[name] : undefined;
  if (keyBytes === undefined) throw notSupported();
  return decryptOld(parameters, { ...encrypted, keyBytes });
}

/** RFC 7292, appendix C. */
async function decryptOld(
  parameters: Asn1,
  { encrypted, keyBytes, ...passphrase }: Encrypted & { keyBytes: number },
): Promise<Buffer> {
  const wanted = {
    digest: "sha1" as const,
    salt: octetsOf(partAt(parameters, 0)),
    iterations: integerOf(partAt(parameters, 1)),
    ...passphrase,
  };
  const key = await derivePkcs12("key", { ...wanted, length: keyBytes });
  const vector = await derivePkcs12("vector", { ...wanted, length: OLD_VECTOR_BYTES });
  if (keyBytes === 24) return decipher("des-ede3-cbc", { key, vector, encrypted });
  return decryptRc2(encrypted, { key, vector, ...passphrase });
}

async function decryptRc2(
  encrypted: Buffer,
  { key, vector, budget }: { key: Buffer; vector: Buffer } & Passphrase,
): Promise<Buffer> {
  const cipher = forge.rc2.createDecryptionCipher(key.toString("latin1"), 40);
  cipher.start(vector.toString("latin1"));
  for (let at = 0; at < encrypted.length; at += RC2_BYTES_AT_ONCE) {
    await budget.pause();
    cipher.update(forge.util.createBuffer(encrypted.subarray(at, at + RC2_BYTES_AT_ONCE).toString("latin1")));
  }
  if (!cipher.finish()) throw wrongPassword();
  return Buffer.from(cipher.output.getBytes(), "latin1");
}

/** RFC 8018, 6.2. */
async function decryptPbes2(parameters: Asn1, { encrypted, ...passphrase }: Encrypted): Promise<Buffer> {
  const derivation = partAt(parameters, 0, 1);
  const cipher = CIPHERS[oidNameOf(partAt(parameters, 1, 0)) ?? ""];
  if (oidNameOf(partAt(parameters, 0, 0)) !== "pkcs5PBKDF2" || cipher === undefined) throw notSupported();
  const wanted: Derivation = {
    digest: digestOf(derivation),
    salt: octetsOf(partAt(derivation, 0)),
    iterations: integerOf(partAt(derivation, 1)),
    length: cipher.keyBytes,
    ...passphrase,
  };
  const key = await derivePbkdf2(wanted);
  return decipher(cipher.name, { key, vector: octetsOf(partAt(parameters, 1, 1)), encrypted });
}

/** The hash of the pseudo-random function, which stands last unless it is HMAC with SHA-1. */
function digestOf(derivation: Asn1): Digest {
  const last = partsOf(derivation).at(-1);
  if (last === undefined || !Array.isArray(last.value)) return "sha1";
  const bits = /^hmacWithSHA(\d+)$/u.exec(oidNameOf(partAt(last, 0)) ?? "")?.[1] ?? "";
  const digest = `sha${bits}`;
  if (!isDigest(digest)) throw notSupported();
  return digest;
}

function decipher(
  name: string,
  { key, vector, encrypted }: { key: Buffer; vector: Buffer; encrypted: Buffer },
): Buffer {
  const cipher = createDecipheriv(name, key, vector);
  try {
    return Buffer.concat([cipher.update(encrypted), cipher.final()]);
  } catch {
    throw wrongPassword();
  }
}

/** Checks that the password opens the store (RFC 7292, appendix B). Rejects with a StoreError if it does not. */
export async function verifyMac(
  mac: Asn1,
  { content, ...passphrase }: Passphrase & { content: Buffer },
): Promise<void> {
  const digest = oidNameOf(partAt(mac, 0, 0, 0)) ?? "";
  if (!isDigest(digest)) throw notSupported();
  const counter = partsOf(mac)[2];
  const expected = octetsOf(partAt(mac, 0, 1));
  const key = await derivePkcs12("mac", {
    digest,
    salt: octetsOf(partAt(mac, 1)),
    iterations: counter === undefined ? 1 : integerOf(counter),
    length: lengthOf(digest),
    ...passphrase,
  });
  const found = createHmac(digest, key).update(content).digest();
  if (expected.length !== found.length || !timingSafeEqual(expected, found)) throw wrongPassword();
}

function wrongPassword(): StoreError {
  return new StoreError("locked", "Cannot verify the password");
}

function notSupported(): StoreError {
  return new StoreError(
    "unreadable",
    "its encryption is not supported, allowed: PBES2 with AES, 3DES, RC2-40",
  );
}

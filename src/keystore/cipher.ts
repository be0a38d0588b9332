// The password-based ciphers of PKCS12: PBES2, and those of old files, 3DES and RC2-40.

import { createDecipheriv, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";
import forge from "node-forge";
import { type Asn1, integerOf, octetsOf, oidNameOf, partAt, partsOf } from "./asn1.ts";
import { StoreError } from "./opened.ts";

/** The parts of forge that its types leave out. */
interface ForgePbe {
  readonly getCipher: (oid: string, parameters: Asn1, password: string) => forge.cipher.BlockCipher;
  readonly generatePkcs12Key: (
    password: string,
    salt: forge.util.ByteBuffer,
    id: number,
    iterations: number,
    length: number,
    digest: forge.md.MessageDigest,
  ) => forge.util.ByteBuffer;
}

export interface Passphrase {
  readonly password: string;
  /** Throws if the iterations of a store become too many. */
  readonly spend: (iterations: number) => void;
}

/** Some seconds of work; today's tools ask for 2,000 to 600,000, three times for a store. */
const MAX_ITERATIONS = 1_000_000;

/** By forge's name of the scheme. */
const CIPHERS: Readonly<Record<string, { readonly name: string; readonly keyBytes: number }>> = {
  "aes128-CBC": { name: "aes-128-cbc", keyBytes: 16 },
  "aes192-CBC": { name: "aes-192-cbc", keyBytes: 24 },
  "aes256-CBC": { name: "aes-256-cbc", keyBytes: 32 },
  "des-EDE3-CBC": { name: "des-ede3-cbc", keyBytes: 24 },
};
const OLD_CIPHERS: ReadonlySet<string> = new Set([
  "pbeWithSHAAnd3-KeyTripleDES-CBC",
  "pbewithSHAAnd40BitRC2-CBC",
]);
const DIGESTS = {
  sha1: { create: () => forge.md.sha1.create(), length: 20 },
  sha256: { create: () => forge.md.sha256.create(), length: 32 },
  sha384: { create: () => forge.md.sha384.create(), length: 48 },
  sha512: { create: () => forge.md.sha512.create(), length: 64 },
} as const;

/** One for a store: a hostile one must not keep the relay busy. */
export function createBudget(): Passphrase["spend"] {
  let left = MAX_ITERATIONS;
  return (iterations) => {
    if (!(iterations >= 1)) throw new StoreError("unreadable", "it is damaged");
    left -= iterations;
    if (left < 0) {
      throw new StoreError("unreadable", `its passwords take more than ${MAX_ITERATIONS} iterations`);
    }
  };
}

/** Throws a StoreError; a wrong password may also give bytes that mean nothing. */
export function decrypt(
  algorithm: Asn1,
  { encrypted, ...passphrase }: Passphrase & { encrypted: Buffer },
): Buffer {
  const name = oidNameOf(partAt(algorithm, 0));
  const parameters = partAt(algorithm, 1);
  if (name === "pkcs5PBES2") return decryptPbes2(parameters, { encrypted, ...passphrase });
  if (name === undefined || !OLD_CIPHERS.has(name)) throw notSupported();
  // A key and an initialization vector are derived.
  passphrase.spend(2 * integerOf(partAt(parameters, 1)));
  const cipher = pbe().getCipher(forge.pki.oids[name] ?? "", parameters, passphrase.password);
  cipher.update(forge.util.createBuffer(encrypted.toString("latin1")));
  if (!cipher.finish()) throw new StoreError("locked", "Cannot decrypt");
  return Buffer.from(cipher.output.getBytes(), "latin1");
}

/** RFC 8018, 6.2. */
function decryptPbes2(
  parameters: Asn1,
  { encrypted, password, spend }: Passphrase & { encrypted: Buffer },
): Buffer {
  const derivation = partAt(parameters, 0, 1);
  const cipher = CIPHERS[oidNameOf(partAt(parameters, 1, 0)) ?? ""];
  if (oidNameOf(partAt(parameters, 0, 0)) !== "pkcs5PBKDF2" || cipher === undefined) throw notSupported();
  const iterations = integerOf(partAt(derivation, 1));
  spend(iterations);
  const salt = octetsOf(partAt(derivation, 0));
  const key = pbkdf2Sync(password, salt, iterations, cipher.keyBytes, prfOf(derivation));
  const decipher = createDecipheriv(cipher.name, key, octetsOf(partAt(parameters, 1, 1)));
  try {
    return Buffer.concat([decipher.update(encrypted), decipher.final()]);
  } catch {
    throw new StoreError("locked", "Cannot decrypt");
  }
}

/** The digest of the pseudo-random function, which stands last where it is not HMAC with SHA-1. */
function prfOf(derivation: Asn1): string {
  const last = partsOf(derivation).at(-1);
  if (last === undefined || !Array.isArray(last.value)) return "sha1";
  const digest = /^hmacWithSHA(\d+)$/u.exec(oidNameOf(partAt(last, 0)) ?? "")?.[1];
  if (digest === undefined) throw notSupported();
  return `sha${digest}`;
}

/** The check that a password opens a store: RFC 7292, appendix B. Throws a StoreError if it does not. */
export function verifyMac(mac: Asn1, { content, password, spend }: Passphrase & { content: Buffer }): void {
  const name = oidNameOf(partAt(mac, 0, 0, 0)) ?? "";
  if (!isDigest(name)) throw notSupported();
  const counter = partsOf(mac)[2];
  const iterations = counter === undefined ? 1 : integerOf(counter);
  spend(iterations);
  const { create, length } = DIGESTS[name];
  const salt = forge.util.createBuffer(octetsOf(partAt(mac, 1)).toString("latin1"));
  const key = pbe().generatePkcs12Key(password, salt, 3, iterations, length, create());
  const expected = octetsOf(partAt(mac, 0, 1));
  const found = createHmac(name, Buffer.from(key.getBytes(), "latin1")).update(content).digest();
  if (expected.length !== found.length || !timingSafeEqual(expected, found)) {
    throw new StoreError("locked", "Cannot verify the password");
  }
}

function isDigest(name: string): name is keyof typeof DIGESTS {
  return Object.hasOwn(DIGESTS, name);
}

function pbe(): ForgePbe {
  return (forge as unknown as { readonly pbe: ForgePbe }).pbe;
}

function notSupported(): StoreError {
  return new StoreError(
    "unreadable",
    "its encryption is not supported, allowed: PBES2 with AES, 3DES, RC2-40",
  );
}

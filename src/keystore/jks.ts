// Reads a JKS file: trusted certificates, and keys with their chains, which are decrypted only when chosen.
//
//   magic, version, count          numbers are of 4 bytes, big-endian; texts have 2 bytes of length before them
//   a key                          1, alias, 8 bytes of time, length, protected key, count, certificates
//   a trusted certificate          2, alias, 8 bytes of time, certificate
//   a certificate                  in version 2 its type; length, DER
//   SHA-1 of the password, a text and all that was before

import { createHash, type KeyObject, timingSafeEqual, type X509Certificate } from "node:crypto";
import forge from "node-forge";
import { octetsOf, parseAsn1, partAt } from "./asn1.ts";
import type { IterationBudget } from "./budget.ts";
import { deriveJksStream, toUtf16 } from "./derive.ts";
import { tryOpen, type KeyStore, type Opened, type StoredKey, StoreError } from "./opened.ts";
import { toCertificate, toPrivateKey } from "./keys.ts";

const KEY_TAG = 1;
const TRUSTED_TAG = 2;
const WHITENER = "Mighty Aphrodite";
const SHA1_LENGTH = 20;
/** Sun's own cipher: a stream of hashes. */
const PROTECTION = "1.3.6.1.4.1.42.2.17.1.1";

interface Entry {
  /** Null: it is a trusted certificate. */
  readonly key: { readonly alias: string; readonly protectedKey: Buffer } | null;
  readonly certificates: readonly X509Certificate[];
}

export function openJks(bytes: Buffer, password: string, budget: IterationBudget): Promise<Opened<KeyStore>> {
  return tryOpen(async () => {
    const reader = createReader(bytes);
    const entries = await readEntries(reader, budget);
    const content = reader.done();
    const digest = reader.bytes(SHA1_LENGTH);
    if (password !== "") verifyDigest(digest, { content, password });
    return {
      certificates: entries.flatMap(({ certificates }) => certificates),
      keys: entries.flatMap(({ key, certificates }): StoredKey[] =>
        key === null
          ? []
          : [
              {
                alias: key.alias,
                certificates,
                unlock: (keyPassword) =>
                  tryOpen(() => unlock(key.protectedKey, { password: keyPassword, budget }), budget.signal),
              },
            ],
      ),
    };
  }, budget.signal);
}

async function readEntries(reader: Reader, budget: IterationBudget): Promise<readonly Entry[]> {
  reader.number(); // The magic number, checked already.
  const version = reader.number();
  if (version !== 1 && version !== 2) throw damaged();
  const readCertificate = async () => {
    await budget.pause();
    if (version === 2) reader.text();
    const certificate = toCertificate(reader.bytes(reader.number()));
    if (certificate === null) throw new StoreError("unreadable", "a certificate in it is damaged");
    return certificate;
  };
  const entries: Entry[] = [];
  for (let left = reader.number(); left > 0; left -= 1) {
    const tag = reader.number();
    const alias = reader.text();
    reader.bytes(8);
    if (tag === TRUSTED_TAG) {
      entries.push({ key: null, certificates: [await readCertificate()] });
      continue;
    }
    if (tag !== KEY_TAG) throw damaged();
    const protectedKey = reader.bytes(reader.number());
    const certificates: X509Certificate[] = [];
    for (let inChain = reader.number(); inChain > 0; inChain -= 1) certificates.push(await readCertificate());
    entries.push({ key: { alias, protectedKey }, certificates });
  }
  return entries;
}

function verifyDigest(digest: Buffer, { content, password }: { content: Buffer; password: string }): void {
  const found = createHash("sha1").update(toUtf16(password)).update(WHITENER).update(content).digest();
  if (!timingSafeEqual(found, digest)) throw wrongPassword();
}

async function unlock(
  protectedKey: Buffer,
  { password, budget }: { password: string; budget: IterationBudget },
): Promise<KeyObject> {
  const info = parseAsn1(protectedKey);
  if (forge.asn1.derToOid(octetsOf(partAt(info, 0, 0)).toString("latin1")) !== PROTECTION) {
    throw new StoreError("unreadable", "its encryption is not supported");
  }
  const hidden = octetsOf(partAt(info, 1));
  const length = hidden.length - 2 * SHA1_LENGTH;
  if (length <= 0) throw damaged();
  const salt = hidden.subarray(0, SHA1_LENGTH);
  const stream = await deriveJksStream({ password, salt, length, budget });
  const der = Buffer.alloc(length);
  for (let at = 0; at < length; at += 1) der[at] = (hidden[SHA1_LENGTH + at] ?? 0) ^ (stream[at] ?? 0);
  const found = createHash("sha1").update(toUtf16(password)).update(der).digest();
  if (!timingSafeEqual(found, hidden.subarray(SHA1_LENGTH + length))) throw wrongPassword();
  const key = toPrivateKey({ key: der, format: "der", type: "pkcs8" });
  if (key !== null) return key;
  throw new StoreError("unreadable", "the key is damaged, or of an unknown kind");
}

interface Reader {
  readonly number: () => number;
  readonly text: () => string;
  readonly bytes: (length: number) => Buffer;
  /** Everything read so far. */
  readonly done: () => Buffer;
}

/** Throws at the end of `content`. */
function createReader(content: Buffer): Reader {
  let at = 0;
  const bytes = (length: number) => {
    if (length > content.length - at) throw damaged();
    at += length;
    return content.subarray(at - length, at);
  };
  return {
    number: () => bytes(4).readUInt32BE(),
    text: () => bytes(bytes(2).readUInt16BE()).toString("utf8"),
    bytes,
    done: () => content.subarray(0, at),
  };
}

function damaged(): StoreError {
  return new StoreError("unreadable", "it is damaged");
}

function wrongPassword(): StoreError {
  return new StoreError("locked", "Cannot verify the password");
}

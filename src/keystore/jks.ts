// A JKS file: trusted certificates, and keys with their chains, which stay closed until one is chosen.

import type { X509Certificate } from "node:crypto";
import { decrypt, type KeyEntry, parseJks, type TrustedKeyEntry } from "jks-js";
import { messageOf } from "#lib/errors.ts";
import { attempt, type KeyStore, type Opened, type StoredKey, StoreError } from "./opened.ts";
import { toCertificate, toPrivateKey } from "./keys.ts";

const WRONG_PASSWORD: ReadonlySet<string> = new Set(["Password verification failed", "Cannot recover key"]);

export function openJks(bytes: Buffer, password: string): Opened<KeyStore> {
  return attempt(() => {
    const entries = lockedOr(() => parseJks(bytes, password)).map((entry) => ({
      entry,
      certificates: certificatesOf(entry),
    }));
    return {
      certificates: entries.flatMap(({ certificates }) => certificates),
      keys: entries.flatMap(({ entry, certificates }) =>
        "protectedPrivateKey" in entry ? [toStoredKey(entry, certificates)] : [],
      ),
    };
  });
}

function certificatesOf(entry: KeyEntry | TrustedKeyEntry): readonly X509Certificate[] {
  const encoded = "chain" in entry ? entry.chain : [entry.cert];
  return encoded.map(({ value }) => {
    const certificate = toCertificate(value);
    if (certificate === null) throw new StoreError("unreadable", "a certificate in it is damaged");
    return certificate;
  });
}

function toStoredKey(
  { alias, protectedPrivateKey }: KeyEntry,
  certificates: readonly X509Certificate[],
): StoredKey {
  return {
    alias,
    certificates,
    unlock: (password) =>
      attempt(() => {
        const key = toPrivateKey(lockedOr(() => decrypt(protectedPrivateKey, password)));
        if (key !== null) return key;
        throw new StoreError("unreadable", "the key is damaged, or of an unknown kind");
      }),
  };
}

/** The reader says by its message that a password is wrong. */
function lockedOr<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    const message = messageOf(error);
    throw WRONG_PASSWORD.has(message) ? new StoreError("locked", message) : error;
  }
}

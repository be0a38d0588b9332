// Reads a PKCS12 file (RFC 7292): its certificates, and its keys, which are decrypted only when chosen.

import type { X509Certificate } from "node:crypto";
import { type Asn1, octetsOf, oidNameOf, parseAsn1, partAt, partsOf, toDer } from "./asn1.ts";
import type { IterationBudget } from "./budget.ts";
import { decrypt, type Passphrase, verifyMac } from "./cipher.ts";
import { tryOpen, type KeyStore, type Opened, type StoredKey, StoreError } from "./opened.ts";
import { toCertificate, toPrivateKey } from "./keys.ts";

interface Bag {
  readonly kind: string | undefined;
  readonly content: Asn1;
  /** `friendlyName`; null: it has none. */
  readonly name: string | null;
  /** Links a key to its certificate; empty: there is no link. */
  readonly localKeyId: string;
}

export function openPkcs12(
  bytes: Buffer,
  password: string,
  budget: IterationBudget,
): Promise<Opened<KeyStore>> {
  return tryOpen(async () => {
    await budget.pause();
    const bags = await readBags(parseAsn1(bytes), { password, budget });
    const certificates = bags
      .filter(
        ({ kind, content }) => kind === "certBag" && oidNameOf(partAt(content, 0)) === "x509Certificate",
      )
      .map(({ content, localKeyId }) => ({
        localKeyId,
        certificate: readCertificate(octetsOf(partAt(content, 1, 0))),
      }));
    const keys = bags
      .filter(({ kind }) => kind === "keyBag" || kind === "pkcs8ShroudedKeyBag")
      .map((bag, index): StoredKey => {
        const isOwn = (one: { localKeyId: string }) =>
          one.localKeyId !== "" && one.localKeyId === bag.localKeyId;
        return {
          // As Java names entries without a name.
          alias: bag.name ?? String(index + 1),
          // Decrypt one key only: a store may hold thousands.
          get certificates() {
            return [...certificates.filter(isOwn), ...certificates.filter((one) => !isOwn(one))].map(
              ({ certificate }) => certificate,
            );
          },
          unlock: (keyPassword) => unlock(bag, { password: keyPassword, budget }),
        };
      });
    return { certificates: certificates.map(({ certificate }) => certificate), keys };
  }, budget.signal);
}

async function readBags(file: Asn1, passphrase: Passphrase): Promise<readonly Bag[]> {
  if (oidNameOf(partAt(file, 1, 0)) !== "data") {
    throw new StoreError(
      "unreadable",
      "it is signed with a key, allowed: a store that is secured by a password",
    );
  }
  const content = octetsOf(partAt(file, 1, 1, 0));
  const mac = partsOf(file)[2];
  if (mac !== undefined) await verifyMac(mac, { content, ...passphrase });
  const bags: Bag[] = [];
  for (const info of partsOf(parseAsn1(content))) {
    await passphrase.budget.pause();
    const safe = await parseSafe(info, { isVerified: mac !== undefined, ...passphrase });
    for (const bag of partsOf(safe)) bags.push(toBag(bag));
  }
  return bags;
}

async function parseSafe(
  info: Asn1,
  { isVerified, ...passphrase }: Passphrase & { isVerified: boolean },
): Promise<Asn1> {
  const kind = oidNameOf(partAt(info, 0));
  const content = partAt(info, 1, 0);
  if (kind === "data") return parseAsn1(octetsOf(content));
  if (kind !== "encryptedData") {
    throw new StoreError("unreadable", "it is encrypted with a key, allowed: a password");
  }
  const algorithm = partAt(content, 1, 1);
  const bytes = await decrypt(algorithm, { encrypted: octetsOf(partAt(content, 1, 2)), ...passphrase });
  if (isVerified) return parseAsn1(bytes);
  try {
    return parseAsn1(bytes);
  } catch {
    throw new StoreError("locked", "Cannot decrypt");
  }
}

function toBag(bag: Asn1): Bag {
  const attributes = new Map(
    (partsOf(bag)[2] === undefined ? [] : partsOf(partAt(bag, 2))).map((attribute) => [
      oidNameOf(partAt(attribute, 0)),
      partsOf(partAt(attribute, 1))[0],
    ]),
  );
  const name = attributes.get("friendlyName");
  const localKeyId = attributes.get("localKeyId");
  return {
    kind: oidNameOf(partAt(bag, 0)),
    content: partAt(bag, 1, 0),
    name: typeof name?.value === "string" ? name.value : null,
    localKeyId: localKeyId === undefined ? "" : octetsOf(localKeyId).toString("hex"),
  };
}

function readCertificate(der: Buffer): X509Certificate {
  const certificate = toCertificate(der);
  if (certificate === null) throw new StoreError("unreadable", "a certificate in it is damaged");
  return certificate;
}

function unlock({ kind, content }: Bag, passphrase: Passphrase): ReturnType<StoredKey["unlock"]> {
  return tryOpen(async () => {
    const isEncrypted = kind === "pkcs8ShroudedKeyBag";
    const der = isEncrypted
      ? await decrypt(partAt(content, 0), { encrypted: octetsOf(partAt(content, 1)), ...passphrase })
      : toDer(content);
    const key = toPrivateKey({ key: der, format: "der", type: "pkcs8" });
    if (key !== null) return key;
    throw new StoreError(isEncrypted ? "locked" : "unreadable", "the key is damaged, or of an unknown kind");
  }, passphrase.budget.signal);
}

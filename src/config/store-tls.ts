// Reads a subscription's trust store and key store for TLS.

import type { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { orderChain, toKeyPem } from "#keystore/keys.ts";
import type { Settings } from "#schema/file.ts";
import type { Secret } from "#schema/secret.ts";
import type { Sound } from "#schema/validate.ts";
import { type StoreIdentity, openStore, takeIdentity } from "./store-entries.ts";
import { readCertificates, readPrivateKey } from "./store-pem.ts";
import { faulty, type Given, read, type Reading, thenRead, UNKNOWN } from "./store-reading.ts";
import { readSource, type StoreScope } from "./store-source.ts";

type Ssl = NonNullable<Settings["ssl"]>;
export type TrustStore = Sound<NonNullable<Ssl["trustStore"]>>;
export type KeyStoreEntry = Sound<NonNullable<Ssl["keyStore"]>>;

/** The kinds of stores that have a password. */
type Protected<T> = Extract<T, { type?: "PKCS12" | "JKS" | undefined; password?: Secret | undefined }>;

const STORE = { pathKey: "path", contentKey: "content" };
const KEY = { pathKey: "keyPath", contentKey: "keyContent" };
const CERTIFICATE = { pathKey: "certPath", contentKey: "certContent" };

export async function readTrustStore(
  store: TrustStore,
  scope: StoreScope,
): Promise<Reading<readonly X509Certificate[]>> {
  if (store.type === undefined) return UNKNOWN;
  const source = readSource(store, { ...STORE, isBase64: store.type !== "PEM", ...scope });
  if (source.kind !== "read") return source;
  const isProtected = store.type === "PKCS12" || store.type === "JKS";
  const found = isProtected
    ? await readTrusted(store, { source: source.value, scope })
    : readCertificates(source.value);
  if (found.kind !== "read") return found;
  const distinct = [...new Map(found.value.map((one) => [one.fingerprint256, one])).values()];
  return isTaken({ ca: distinct.map(String) })
    ? read(distinct)
    : faulty(source.value.path, "TLS rejects its certificates");
}

async function readTrusted(
  store: Protected<TrustStore>,
  { source, scope }: { source: Given<Buffer>; scope: StoreScope },
): Promise<Reading<readonly X509Certificate[]>> {
  const password = toGiven("password", store.password, scope);
  if (password === null) return UNKNOWN;
  const opened = await openStore(source, password, scope.budget);
  if (opened.kind !== "read") return opened;
  const { certificates } = opened.value;
  return certificates.length > 0 ? read(certificates) : faulty(source.path, "the store holds no certificate");
}

export async function readKeyStore(store: KeyStoreEntry, scope: StoreScope): Promise<Reading<StoreIdentity>> {
  if (store.type === undefined) return UNKNOWN;
  const isProtected = store.type === "PKCS12" || store.type === "JKS";
  const identity = await (isProtected ? readEntry(store, scope) : readPemPair(store, scope));
  if (identity.kind !== "read") return identity;
  const { key, chain, path } = identity.value;
  return isTaken({ key: toKeyPem(key), cert: chain.map(String).join("") })
    ? read({ key, chain })
    : faulty(path, "TLS rejects the key and its certificate");
}

/** `path`: where to report the fault if TLS rejects the identity. */
type Candidate = StoreIdentity & Pick<Given<unknown>, "path">;

async function readPemPair(store: KeyStoreEntry, scope: StoreScope): Promise<Reading<Candidate>> {
  const key = thenRead(readSource(store, { ...KEY, isBase64: false, ...scope }), readPrivateKey);
  const source = readSource(store, { ...CERTIFICATE, isBase64: false, ...scope });
  const certificates = thenRead(source, readCertificates);
  const faults = [key, certificates].flatMap((part) => (part.kind === "faulty" ? part.faults : []));
  if (faults.length > 0) return { kind: "faulty", faults };
  if (key.kind !== "read" || certificates.kind !== "read" || source.kind !== "read") return UNKNOWN;
  const { path } = source.value;
  const { pause } = scope.budget;
  const chain = await orderChain(key.value, { certificates: certificates.value, pause });
  return chain.length > 0
    ? read({ key: key.value, chain, path })
    : faulty(path, "it holds no certificate that belongs to the key");
}

async function readEntry(store: Protected<KeyStoreEntry>, scope: StoreScope): Promise<Reading<Candidate>> {
  const source = readSource(store, { ...STORE, isBase64: true, ...scope });
  if (source.kind !== "read") return source;
  const password = toGiven("password", store.password, scope);
  const alias = toGiven("alias", "alias" in store ? store.alias : null, scope);
  const keyPassword = toGiven("keyPassword", "keyPassword" in store ? store.keyPassword : null, scope);
  if (password === null || alias === null || keyPassword === null) return UNKNOWN;
  const { budget } = scope;
  const opened = await openStore(source.value, password, budget);
  if (opened.kind !== "read") return opened;
  const isAliasShown = store.alias?.source.kind === "inline";
  const identity = await takeIdentity(opened.value, {
    source: source.value,
    budget,
    alias,
    isAliasShown,
    password,
    keyPassword,
  });
  if (identity.kind !== "read") return identity;
  return read({ ...identity.value, path: source.value.path });
}

/** null: the value is set, but unknown. A `secret` of null: the config does not set it. */
export function toGiven(
  key: string,
  secret: Secret | null | undefined,
  { secrets }: StoreScope,
): Given<string | null> | null {
  if (secret === null) return { path: [key], value: null };
  const value = secret === undefined ? undefined : secrets.valueOf(secret);
  return value === undefined ? null : { path: [key], value };
}

function isTaken(options: SecureContextOptions): boolean {
  try {
    createSecureContext(options);
    return true;
  } catch {
    return false;
  }
}

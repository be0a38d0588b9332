// Reads the key that signs assertions: RSA from PEM or a store, or an HMAC secret.

import type { X509Certificate } from "node:crypto";
import { isAbsolute } from "node:path";
import type { AssertionKey } from "#delivery/callback.ts";
import { orderChain, toKeyPem, toPrivateKey } from "#keystore/keys.ts";
import type { JwtProfile } from "#schema/file.ts";
import type { Sound } from "#schema/validate.ts";
import { type StoreIdentity, openStore, takeIdentity } from "./store-entries.ts";
import { findCertificates, readPrivateKey } from "./store-pem.ts";
import { faulty, type Given, read, type Reading, UNKNOWN } from "./store-reading.ts";
import { decodeBase64, readBytes, type StoreScope, toBytes } from "./store-source.ts";
import { toGiven } from "./store-tls.ts";

interface ReadSigningKey {
  readonly key: AssertionKey;
  /** The certificate of the key, then its issuers in order; empty: the key has no certificate. */
  readonly chain: readonly X509Certificate[];
}

export type Jwt = Sound<JwtProfile>;
type Content = Given<string>;

const KEY = ["keyContent"];
const CHAIN = ["x509CertChain"];
const MIN_RSA_BITS = 2048;
/** RFC 7518, 3.2: at least as long as the hash. */
const MIN_SECRET_BYTES = { HMAC_HS256: 32, HMAC_HS384: 48, HMAC_HS512: 64 } as const;
/** The beginning of a JKS file in base64: it looks like an absolute path, but is content. */
const JKS_BASE64 = "/u3+7Q";

export async function readSigningKey(jwt: Jwt, scope: StoreScope): Promise<Reading<ReadSigningKey>> {
  const { signatureAlgorithm: algorithm, keySource } = jwt;
  const value = jwt.keyContent === undefined ? undefined : scope.secrets.valueOf(jwt.keyContent);
  if (algorithm === undefined || keySource === undefined || value === undefined) return UNKNOWN;
  const content = { path: KEY, value };
  if (algorithm !== "RSA_RS256") {
    // Another source is a fault of its own.
    return keySource === "INLINE" ? readSecretKey(content, { jwt, algorithm }) : UNKNOWN;
  }
  const found = await readRsaKey(content, { jwt, scope });
  if (found.kind !== "read") return found;
  const { key, chain } = found.value;
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (key.asymmetricKeyType !== "rsa") return faulty(KEY, "RSA_RS256 needs an RSA key");
  if (bits < MIN_RSA_BITS) return faulty(KEY, `the key has ${bits} bits, allowed: at least ${MIN_RSA_BITS}`);
  if (jwt.x509CertChain === "X5C" && chain.length === 0) {
    return faulty(CHAIN, "X5C needs the certificate of the key, which keyContent does not hold");
  }
  return read({ key: { kind: "rsa", pem: toKeyPem(key) }, chain });
}

function readSecretKey(
  { path, value }: Content,
  { jwt, algorithm }: { jwt: Jwt; algorithm: keyof typeof MIN_SECRET_BYTES },
): Reading<ReadSigningKey> {
  const isBase64 = jwt.secretBase64Encoded === true;
  const secret = isBase64 ? decodeBase64(value) : Buffer.from(value, "utf8");
  if (secret === null) return faulty(path, "allowed: base64, because secretBase64Encoded is true");
  const min = MIN_SECRET_BYTES[algorithm];
  if (secret.length < min) {
    return faulty(
      path,
      `the secret has ${secret.length} bytes, allowed: at least ${min}, as ${algorithm} needs`,
    );
  }
  if (jwt.x509CertChain === "X5C") return faulty(CHAIN, "X5C is for RSA only, allowed: NONE");
  return read({ key: { kind: "hmac", secret }, chain: [] });
}

async function readRsaKey(
  content: Content,
  { jwt, scope }: { jwt: Jwt; scope: StoreScope },
): Promise<Reading<StoreIdentity>> {
  const bytes = readKeyBytes(content, { jwt, scope });
  if (bytes.kind !== "read") return bytes;
  return isStore(jwt) ? readStoredKey(bytes.value, { jwt, scope }) : readPemKey(bytes.value, { jwt, scope });
}

function isStore({ keySource }: Jwt): boolean {
  return keySource === "PKCS12" || keySource === "JKS";
}

/** The bytes in `keyContent`, or of the file that it names. No message shows the path, because it may be a secret. */
function readKeyBytes(
  content: Content,
  { jwt, scope }: { jwt: Jwt; scope: StoreScope },
): Reading<Given<Buffer>> {
  const { path, value } = content;
  const isPath = jwt.keySource !== "INLINE" && isAbsolute(value) && !value.startsWith(JKS_BASE64);
  if (isPath) {
    if (scope.context.withoutSecrets) return UNKNOWN;
    const bytes = readBytes(value, scope.context);
    return bytes.kind === "read"
      ? read({ path, value: bytes.value })
      : faulty(path, `cannot read the file that it names: ${bytes.reason}`);
  }
  if (isStore(jwt)) {
    const bytes = toBytes(content, { isBase64: true });
    return bytes.kind === "faulty"
      ? faulty(path, "allowed: the store in base64, or an absolute path")
      : bytes;
  }
  if (value.includes("-----BEGIN ")) return toBytes(content, { isBase64: false });
  if (jwt.keySource === "PEM") return faulty(path, "allowed: the key in PEM, or an absolute path");
  return toBytes({ path, value: toPem(value) }, { isBase64: false });
}

/** Adds the PEM label to bare base64, which is PKCS#8 or PKCS#1. */
function toPem(text: string): string {
  const der = decodeBase64(text);
  if (der === null) return "";
  const label = toPrivateKey({ key: der, format: "der", type: "pkcs8" }) === null ? "RSA PRIVATE" : "PRIVATE";
  return `-----BEGIN ${label} KEY-----\n${der.toString("base64")}\n-----END ${label} KEY-----\n`;
}

async function readPemKey(
  source: Given<Buffer>,
  { jwt, scope }: { jwt: Jwt; scope: StoreScope },
): Promise<Reading<StoreIdentity>> {
  const found = readPrivateKey(source);
  if (found.kind !== "read") return found;
  const key = found.value;
  if (jwt.x509CertChain !== "X5C") return read({ key, chain: [] });
  const certificates = findCertificates(source);
  if (certificates.kind !== "read") return certificates;
  const { pause } = scope.budget;
  const chain = await orderChain(key, { certificates: certificates.value, pause });
  return read({ key, chain });
}

async function readStoredKey(
  source: Given<Buffer>,
  { jwt, scope }: { jwt: Jwt; scope: StoreScope },
): Promise<Reading<StoreIdentity>> {
  const options = jwt.keystoreOptions;
  if (options === undefined && "keystoreOptions" in jwt) return UNKNOWN;
  const optionOf = (key: "alias" | "storePassword" | "keyPassword"): Given<string | null> | null => {
    const given = toGiven(key, options !== undefined && key in options ? options[key] : null, scope);
    return given === null ? null : { ...given, path: ["keystoreOptions", key] };
  };
  const [alias, password, keyPassword] = [
    optionOf("alias"),
    optionOf("storePassword"),
    optionOf("keyPassword"),
  ];
  if (alias === null || password === null || keyPassword === null) return UNKNOWN;
  const { budget } = scope;
  const opened = await openStore(source, password, budget);
  if (opened.kind !== "read") return opened;
  const isAliasShown = options?.alias?.source.kind === "inline";
  const choice = { alias, isAliasShown, password, keyPassword };
  return takeIdentity(opened.value, { source, budget, ...choice });
}

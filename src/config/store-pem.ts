// Certificates and private keys in PEM, and which certificate belongs to which.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { faulty, type Given, read, type Reading } from "./store-reading.ts";

interface Block {
  readonly label: string;
  readonly text: string;
}

/** In linear time; a block without an end reaches to the next one. */
function blocksOf(text: string): Block[] {
  return text
    .split("-----BEGIN ")
    .slice(1)
    .flatMap((part) => {
      const label = /^([A-Z0-9 ]{1,40})-----/u.exec(part)?.[1];
      if (label === undefined) return [];
      const end = `-----END ${label}-----`;
      const at = part.indexOf(end);
      const body = at === -1 ? part : part.slice(0, at + end.length);
      return [{ label, text: `-----BEGIN ${body}\n` }];
    });
}

/** Every certificate of a bundle, in its order; none at all is a fault. */
export function readCertificates(source: Given<Buffer>): Reading<readonly X509Certificate[]> {
  const found = findCertificates(source);
  if (found.kind === "read" && found.value.length === 0)
    return faulty(source.path, "it holds no certificate in PEM");
  return found;
}

/** Those that stand beside a key, for one. */
export function findCertificates({
  path,
  value,
}: Given<Buffer>): Exclude<Reading<readonly X509Certificate[]>, { kind: "unknown" }> {
  const blocks = blocksOf(value.toString("utf8")).filter(({ label }) => label.endsWith("CERTIFICATE"));
  const certificates: X509Certificate[] = [];
  for (const { text } of blocks) {
    const certificate = toCertificate(text);
    if (certificate === null) {
      const place = blocks.length === 1 ? "" : ` ${certificates.length + 1} of ${blocks.length}`;
      return faulty(path, `cannot read the certificate${place} in it`);
    }
    certificates.push(certificate);
  }
  return { kind: "read", value: certificates };
}

/** null: it is damaged. */
export function toCertificate(encoded: string | Uint8Array): X509Certificate | null {
  try {
    return new X509Certificate(encoded);
  } catch {
    return null;
  }
}

export interface FoundKey {
  readonly key: KeyObject;
  /** As the file has it. */
  readonly pem: string;
}

export function readPrivateKey({ path, value }: Given<Buffer>): Reading<FoundKey> {
  const blocks = blocksOf(value.toString("utf8")).filter(({ label }) => label.endsWith("PRIVATE KEY"));
  const [block, second] = blocks;
  if (block === undefined) return faulty(path, "it holds no private key in PEM");
  if (second !== undefined) return faulty(path, `it holds ${blocks.length} private keys, allowed: one`);
  if (block.label === "ENCRYPTED PRIVATE KEY" || block.text.includes("Proc-Type: 4,ENCRYPTED")) {
    return faulty(path, "the key is encrypted, allowed: a key without a password, or a PKCS12 or JKS store");
  }
  const key = toPrivateKey({ key: block.text, format: "pem" });
  return key === null ? faulty(path, "cannot read the private key in it") : read({ key, pem: block.text });
}

/** null: it is none, or damaged. */
export function toPrivateKey(input: Parameters<typeof createPrivateKey>[0]): KeyObject | null {
  try {
    return createPrivateKey(input);
  } catch {
    return null;
  }
}

/** PKCS#8, not encrypted. */
export function toKeyPem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" });
}

/** A longer chain is no chain, but a list to keep a verifier busy. */
const MAX_CHAIN_LENGTH = 16;

/** The certificate of the key first, then its issuers in order; empty: there is none of the key. */
export function orderChain(
  key: KeyObject,
  certificates: readonly X509Certificate[],
): readonly X509Certificate[] {
  const own = certificates.find((certificate) => holds(() => certificate.checkPrivateKey(key)));
  const chain: X509Certificate[] = [];
  let next = own;
  while (next !== undefined && chain.length < MAX_CHAIN_LENGTH) {
    const last = next;
    chain.push(last);
    if (isIssuer(last, last)) break;
    next = certificates.find((candidate) => !chain.includes(candidate) && isIssuer(candidate, last));
  }
  return chain;
}

function isIssuer(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return holds(() => certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey));
}

/** A key of a kind that is not supported belongs to nothing. */
function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}

// Reads certificates and private keys in PEM.

import type { KeyObject, X509Certificate } from "node:crypto";
import { toCertificate, toPrivateKey } from "#keystore/keys.ts";
import { faulty, type Given, read, type Reading } from "./store-reading.ts";

interface Block {
  readonly label: string;
  readonly text: string;
}

/** Takes linear time. A block without an end marker reaches to the next block. */
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

/** All certificates of a bundle, in their order. A bundle without certificates is a fault. */
export function readCertificates(source: Given<Buffer>): Reading<readonly X509Certificate[]> {
  const found = findCertificates(source);
  if (found.kind === "read" && found.value.length === 0)
    return faulty(source.path, "it holds no certificate in PEM");
  return found;
}

/** Like `readCertificates`, but the list may be empty: a key may come without its certificate. */
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

export function readPrivateKey({ path, value }: Given<Buffer>): Reading<KeyObject> {
  const blocks = blocksOf(value.toString("utf8")).filter(({ label }) => label.endsWith("PRIVATE KEY"));
  const [block, second] = blocks;
  if (block === undefined) return faulty(path, "it holds no private key in PEM");
  if (second !== undefined) return faulty(path, `it holds ${blocks.length} private keys, allowed: one`);
  if (block.label === "ENCRYPTED PRIVATE KEY" || block.text.includes("Proc-Type: 4,ENCRYPTED")) {
    return faulty(path, "the key is encrypted, allowed: a key without a password, or a PKCS12 or JKS store");
  }
  const key = toPrivateKey({ key: block.text, format: "pem" });
  return key === null ? faulty(path, "cannot read the private key in it") : read(key);
}

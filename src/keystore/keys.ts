// Converts certificates and private keys to the platform's types, and orders certificate chains.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";

/** Null: it is damaged. */
export function toCertificate(encoded: string | Uint8Array): X509Certificate | null {
  try {
    return new X509Certificate(encoded);
  } catch {
    return null;
  }
}

/** Null: it is not a private key, or damaged. */
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

/** A longer chain would only keep a verifier busy. */
const MAX_CHAIN_LENGTH = 16;

/** The certificate of the key first, then its issuers in order; empty: no certificate belongs to the key. */
export async function orderChain(
  key: KeyObject,
  {
    certificates,
    pause,
  }: { readonly certificates: readonly X509Certificate[]; readonly pause: () => Promise<void> },
): Promise<readonly X509Certificate[]> {
  const find = async (isMeant: (candidate: X509Certificate) => boolean) => {
    for (const candidate of certificates) {
      await pause();
      if (isMeant(candidate)) return candidate;
    }
    return undefined;
  };
  const chain: X509Certificate[] = [];
  let next = await find((candidate) => holds(() => candidate.checkPrivateKey(key)));
  while (next !== undefined && chain.length < MAX_CHAIN_LENGTH) {
    const last = next;
    chain.push(last);
    if (isIssuer(last, last)) break;
    next = await find((candidate) => !chain.includes(candidate) && isIssuer(candidate, last));
  }
  return chain;
}

function isIssuer(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return holds(() => certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey));
}

/** A key of an unsupported kind matches nothing. */
function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}

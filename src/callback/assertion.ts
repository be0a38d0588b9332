// Signs the JWT assertion that is exchanged for an access token (RFC 7523, 3).

import { createPrivateKey, type KeyObject } from "node:crypto";
import { SignJWT } from "jose";

import type { AssertionKey, AssertionSettings } from "#delivery/callback.ts";

interface AssertionMoment {
  readonly nowMs: number;
  /** The `jti` if the settings name none. */
  readonly randomId: string;
}

/** Rejects if the key cannot sign. Registered claims override custom claims of the same name. */
export async function signAssertion(
  settings: AssertionSettings,
  { nowMs, randomId }: AssertionMoment,
): Promise<string> {
  const issuedAt = Math.floor(nowMs / 1000);
  const claims = {
    ...Object.fromEntries(settings.customClaims),
    iss: settings.issuer,
    sub: settings.subject,
    aud: settings.audience,
    iat: issuedAt,
    exp: issuedAt + Math.ceil(settings.lifetimeMs / 1000),
    jti: settings.jwtId ?? randomId,
  };
  const certificates = settings.chain.flatMap(toCertificates);
  return new SignJWT(claims)
    .setProtectedHeader({
      alg: settings.algorithm,
      typ: "JWT",
      ...(settings.keyId === null ? {} : { kid: settings.keyId }),
      ...(certificates.length === 0 ? {} : { x5c: certificates }),
    })
    .sign(toKey(settings.key));
}

function toKey(key: AssertionKey): KeyObject | Uint8Array {
  return key.kind === "rsa" ? createPrivateKey(key.pem) : key.secret;
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----([\w+/=\s]*)-----END CERTIFICATE-----/gu;

/** DER in base64, not base64url (RFC 7515, 4.1.6). */
function toCertificates(pem: string): string[] {
  return Array.from(pem.matchAll(PEM_CERTIFICATE), ([, body = ""]) => body.replaceAll(/\s/gu, ""));
}

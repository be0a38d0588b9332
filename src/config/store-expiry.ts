// Warns about certificates and tokens that have expired, expire soon, or include their scheme.

import type { X509Certificate } from "node:crypto";
import { decodeJwt } from "jose";
import { toOneLine } from "./store-entries.ts";

const DAY_MS = 86_400_000;
const CERTIFICATE_NOTICE_MS = 30 * DAY_MS;
const TOKEN_NOTICE_MS = 3_600_000;
const MAX_LINES = 5;

/** A line for each certificate that expires within 30 days, the first to expire first, five at most. */
export function certificateWarnings(certificates: readonly X509Certificate[], now: Date): readonly string[] {
  const limit = now.getTime() + CERTIFICATE_NOTICE_MS;
  return certificates
    .map((certificate) => ({ certificate, end: certificate.validToDate }))
    .filter(({ end }) => end.getTime() <= limit)
    .sort((left, right) => left.end.getTime() - right.end.getTime())
    .slice(0, MAX_LINES)
    .map(({ certificate, end }) => {
      const verb = end.getTime() <= now.getTime() ? "ended" : "ends";
      return `the certificate of ${subjectOf(certificate)} ${verb} on ${end.toISOString().slice(0, 10)}`;
    });
}

function subjectOf({ subject }: X509Certificate): string {
  return toOneLine(subject.trimEnd().replaceAll("\n", ", "));
}

export function tokenWarnings(token: string, now: Date): readonly string[] {
  const [, scheme, rest = token] = SCHEME.exec(token) ?? [];
  const expiry = expiryWarning(rest, now);
  return [
    ...(scheme === undefined
      ? []
      : [`it begins with ${scheme}, and is sent as "Bearer ${scheme} …": give the token alone`]),
    ...(expiry === null ? [] : [expiry]),
  ];
}

const SCHEME = /^\s*(bearer|basic|token)\s+(\S.*)$/iu;

/** null: the token is no JWT, has no `exp`, or is valid for more than an hour. */
function expiryWarning(token: string, now: Date): string | null {
  const seconds = expiryOf(token);
  if (seconds === null) return null;
  const end = new Date(seconds * 1000);
  if (Number.isNaN(end.getTime()) || end.getTime() > now.getTime() + TOKEN_NOTICE_MS) return null;
  return `the token ${end.getTime() <= now.getTime() ? "expired" : "expires"} at ${end.toISOString()}`;
}

function expiryOf(token: string): number | null {
  try {
    return decodeJwt(token).exp ?? null;
  } catch {
    return null;
  }
}

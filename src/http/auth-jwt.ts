// Verifies a JWT (RFC 7519, with the advice of RFC 8725) and gives its identity.

import { decodeProtectedHeader, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from "jose";
import type { ServerAuth } from "#config/resolve-server.ts";
import { RelayError } from "#lib/errors.ts";
import type { Identity } from "./access.ts";
import { createFileKeys, createRemoteKeys, type KeysFor, type RemoteKeysOptions } from "./token-keys.ts";

export type TokenAuthOptions = RemoteKeysOptions;

export type TokenVerdict =
  | { readonly kind: "valid"; readonly identity: Identity; readonly expiresAt: number }
  /** `reason` holds nothing of the token. */
  | { readonly kind: "invalid"; readonly reason: string }
  /** The keys cannot be had, so nothing can be said about the token. */
  | { readonly kind: "unavailable" };

const MAX_TOKEN_LENGTH = 8192;
const CLOCK_TOLERANCE_SECONDS = 5;
const NOT_VALID: TokenVerdict = { kind: "invalid", reason: "The token is not valid" };

export function createTokenAuth(
  { keys, issuer, audience }: Extract<ServerAuth, { kind: "jwt" }>,
  options: TokenAuthOptions,
): (token: string) => Promise<TokenVerdict> {
  const keysFor = keys.kind === "jwks" ? createRemoteKeys(keys.uri, options) : createFileKeys(keys.keys);
  const claims: JWTVerifyOptions = {
    issuer,
    audience,
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    requiredClaims: ["exp"],
  };
  return async (token) => {
    if (token.length > MAX_TOKEN_LENGTH) {
      return { kind: "invalid", reason: `The token has more than ${MAX_TOKEN_LENGTH} characters` };
    }
    try {
      const payload = await verify(token, { keysFor, claims });
      return payload === null ? NOT_VALID : toResult(payload);
    } catch (error) {
      return toRefusal(error);
    }
  };
}

/** Null: no key fits. Throws what jose throws, and a RelayError `unavailable` if the keys cannot be had. */
async function verify(
  token: string,
  { keysFor, claims }: { keysFor: KeysFor; claims: JWTVerifyOptions },
): Promise<JWTPayload | null> {
  const header = decodeProtectedHeader(token);
  const { alg } = header;
  if (alg === undefined) return null;
  for (const key of await keysFor(header)) {
    try {
      return (await jwtVerify(token, key, { ...claims, algorithms: [alg] })).payload;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  return null;
}

function toResult(payload: JWTPayload): TokenVerdict {
  const { sub, exp = 0, scope, scp } = payload;
  const subject = typeof sub === "string" && sub !== "" ? sub : null;
  const scopes = [...toScopes(scope), ...toScopes(scp)];
  return { kind: "valid", identity: { kind: "jwt", scopes, subject }, expiresAt: exp * 1000 };
}

function toScopes(claim: unknown): readonly string[] {
  if (typeof claim === "string") return claim.split(" ").filter((scope) => scope !== "");
  return Array.isArray(claim) ? claim.filter((scope) => typeof scope === "string") : [];
}

function toRefusal(error: unknown): TokenVerdict {
  if (error instanceof RelayError) return { kind: "unavailable" };
  if (error instanceof errors.JWTExpired) return { kind: "invalid", reason: "The token has expired" };
  if (error instanceof errors.JWTClaimValidationFailed) {
    return { kind: "invalid", reason: `The claim ${error.claim} of the token is missing or not accepted` };
  }
  return NOT_VALID;
}

// The settings of an assertion: what a test is about, it changes.

import type { AssertionSettings } from "#delivery/callback.ts";

export function toAssertion(changes: Partial<AssertionSettings> = {}): AssertionSettings {
  return {
    issuer: "relay",
    subject: "device-7",
    audience: "https://as.example/token",
    lifetimeMs: 30_000,
    algorithm: "HS256",
    key: { kind: "hmac", secret: Buffer.from("a secret of 32 characters at least") },
    keyId: null,
    jwtId: null,
    chain: [],
    customClaims: [],
    ...changes,
  };
}

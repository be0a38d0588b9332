// An authority for tests: signs tokens, publishes its keys on a real server, and fails when told to.

import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import type { ServerAuth } from "#config/resolve-server.ts";
import { type Answer, type Receiver, startReceiver } from "../support/receiver.ts";

export type SigningKey = Awaited<ReturnType<typeof createKey>>;

/** Undefined leaves one out. */
export type Claims = Readonly<Record<string, unknown>>;

export interface Authority extends AsyncDisposable {
  readonly settings: Extract<ServerAuth, { kind: "jwt" }>;
  readonly server: Receiver;
  /** From now on; the private parts stay here. */
  publish: (...keys: readonly SigningKey[]) => void;
  answer: (answer: Answer | null) => void;
}

const ISSUER = "https://authority.example.com";
const AUDIENCE = "relay";

export async function createKey(alg: string, kid: string | null = "first") {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk: JWK = { ...(await exportJWK(publicKey)), ...(kid === null ? {} : { kid }) };
  return { alg, kid, jwk, publicKey, privateKey };
}

/** Good for a minute, with all that is needed, unless `claims` say otherwise. */
export async function signToken(
  { alg, kid, privateKey }: Pick<SigningKey, "alg" | "kid"> & { privateKey: CryptoKey | Uint8Array },
  claims: Claims = {},
): Promise<string> {
  const exp = Math.floor(Date.now() / 1000) + 60;
  const payload = { iss: ISSUER, aud: AUDIENCE, sub: "shop", scope: "relay:read", exp, ...claims };
  return await new SignJWT(payload)
    .setProtectedHeader({ alg, ...(kid === null ? {} : { kid }) })
    .sign(privateKey);
}

export async function startAuthority(...keys: readonly SigningKey[]): Promise<Authority> {
  let published = keys;
  let instead: Answer | null = null;
  const server = await startReceiver(
    () => instead ?? { status: 200, body: JSON.stringify({ keys: published.map(({ jwk }) => jwk) }) },
  );
  return {
    settings: {
      kind: "jwt",
      keys: { kind: "jwks", uri: new URL("/keys", server.url) },
      issuer: ISSUER,
      audience: AUDIENCE,
    },
    server,
    publish: (...next) => {
      published = next;
    },
    answer: (answer) => {
      instead = answer;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

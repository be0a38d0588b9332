// Loads the keys that verify tokens, from a file or a JWKS URL. The type of a key fixes the algorithms that it is used with.

import {
  createLocalJWKSet,
  createRemoteJWKSet,
  type CryptoKey,
  customFetch,
  errors,
  type JSONWebKeySet,
  type JWK,
  type JWSHeaderParameters,
} from "jose";
import type { VerificationKey } from "#config/key-file.ts";
import { messageOf, RelayError } from "#lib/errors.ts";
import { isObject, parseJson, readText } from "#lib/json.ts";
import type { Logger } from "#lib/logger.ts";

/** The keys that a token with this header may be signed with; none is not an error. */
export type KeysFor = (header: JWSHeaderParameters) => Promise<readonly (CryptoKey | Uint8Array)[]>;

export interface RemoteKeysOptions {
  readonly logger: Logger;
  /** After a fetch that went well, an unknown key is looked for once in this time. */
  readonly cooldownMs?: number;
  /** After a fetch that failed, there is none for this time. */
  readonly retryMs?: number;
  readonly maxAgeMs?: number;
  readonly timeoutMs?: number;
}

type ResolveKey = (header: JWSHeaderParameters) => Promise<CryptoKey>;

const PUBLIC_KEY_ALGORITHMS: ReadonlySet<string> = new Set(
  "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split(" "),
);
/** RFC 7518, 3.2: a key is at least as long as the hash. */
const HMAC_BYTES: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 };
const MAX_SET_BYTES = 262_144;
const MAX_KEYS = 100;

/**
 * Fetched when needed. Where that fails, which the log tells, keys that were fetched before go on for as long as it does;
 * for any other it rejects with a RelayError `unavailable`.
 */
export function createRemoteKeys(uri: URL, options: RemoteKeysOptions): KeysFor {
  const { logger, cooldownMs = 10_000, retryMs = 5000, maxAgeMs = 600_000, timeoutMs = 5000 } = options;
  let failedAt = -Infinity;
  let isFailing = false;
  let lastKeys: ResolveKey | null = null;
  const resolveRemote = createRemoteJWKSet(uri, {
    cooldownDuration: cooldownMs,
    cacheMaxAge: maxAgeMs,
    timeoutDuration: timeoutMs,
    async [customFetch](url, request) {
      if (performance.now() - failedAt < retryMs) throw unavailable("it failed a moment ago");
      try {
        const keys = await fetchKeys(url, request);
        lastKeys = createLocalJWKSet(keys);
        isFailing = false;
        return Response.json(keys);
      } catch (error) {
        failedAt = performance.now();
        isFailing = true;
        logger.warn("Cannot fetch the keys of server.auth", { from: uri.origin, error: messageOf(error) });
        throw unavailable(messageOf(error));
      }
    },
  });

  /** While it fails, who has a key that is known does not wait for another try. */
  async function resolveKey(header: JWSHeaderParameters): Promise<CryptoKey> {
    const known = isFailing && lastKeys !== null ? await lastKeys(header).catch(() => null) : null;
    if (known !== null) {
      void resolveRemote(header).catch(() => null); // Told in the log where it failed.
      return known;
    }
    try {
      return await resolveRemote(header);
    } catch (error) {
      if (!(error instanceof RelayError) || lastKeys === null) throw error;
      return await lastKeys(header).catch((fault: unknown) => {
        throw fault instanceof errors.JWKSNoMatchingKey ? error : fault;
      });
    }
  }

  return (header) => listPublicKeys(resolveKey, header);
}

/** From a file that is read with the config. A public key without a `kid`, as all in PEM are, is tried for any. */
export function createFileKeys(keys: readonly VerificationKey[]): KeysFor {
  const isSecret = ({ kty }: VerificationKey) => kty === "oct";
  const published: JWK[] = keys.filter((key) => !isSecret(key));
  const named = createLocalJWKSet({ keys: published.filter(({ kid }) => kid !== undefined) });
  const unnamed = createLocalJWKSet({ keys: published.filter(({ kid }) => kid === undefined) });
  const secrets = keys.filter(isSecret);
  return async (header) => {
    const minBytes = HMAC_BYTES[header.alg ?? ""];
    if (minBytes === undefined) {
      const { kid: _kid, ...anyName } = header;
      return [...(await listPublicKeys(named, header)), ...(await listPublicKeys(unnamed, anyName))];
    }
    return secrets
      .filter(({ alg, kid }) => (alg ?? header.alg) === header.alg && (header.kid ?? kid) === kid)
      .map(({ k }) => Buffer.from(k ?? "", "base64url"))
      .filter(({ length }) => length >= minBytes);
  };
}

async function listPublicKeys(
  resolveKey: ResolveKey,
  header: JWSHeaderParameters,
): Promise<readonly CryptoKey[]> {
  if (!PUBLIC_KEY_ALGORITHMS.has(header.alg ?? "")) return [];
  try {
    return [await resolveKey(header)];
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return [];
    if (error instanceof errors.JWKSMultipleMatchingKeys) return await Array.fromAsync(error);
    throw error;
  }
}

async function fetchKeys(
  url: string,
  request: { headers: Headers; signal: AbortSignal },
): Promise<JSONWebKeySet> {
  const response = await fetch(url, { ...request, redirect: "manual" });
  try {
    if (response.status !== 200) throw new Error(`it answered with status ${response.status}`);
    return parseKeys(await readText(response.body, MAX_SET_BYTES));
  } finally {
    void response.body?.cancel().catch(() => {}); // A body that is read already cannot be cancelled.
  }
}

function parseKeys(text: string): JSONWebKeySet {
  const found = parseJson(text);
  const keys = isObject(found) ? found["keys"] : null;
  if (!Array.isArray(keys)) throw new Error("its answer is no set of keys");
  if (keys.length > MAX_KEYS) throw new Error(`its answer has more than ${MAX_KEYS} keys`);
  // Keys for other purposes and of kinds that are not known may stand in a set: RFC 7517, 5.
  const published = keys.filter(
    (key: unknown): key is JWK => isObject(key) && typeof key["kty"] === "string",
  );
  return { keys: published };
}

function unavailable(reason: string): RelayError {
  return new RelayError("unavailable", `Cannot fetch the keys of server.auth: ${reason}`);
}

// Loads and checks the keys and certificates that the file names.

import type { AssertionKey, TlsIdentity, TlsSettings } from "#delivery/callback.ts";
import { toKeyPem } from "#keystore/keys.ts";
import type { JwtProfile, Settings } from "#schema/file.ts";
import type { Fault, Path } from "#schema/issue.ts";
import type { SoundFile } from "#schema/validate.ts";
import { type Jwt, readSigningKey } from "./key-signing.ts";
import { deliveryPath, deliverySettings, type SoundConfiguration } from "./references.ts";
import { certificateWarnings, tokenWarnings } from "./store-expiry.ts";
import { mapReading } from "./store-reading.ts";
import { createStoreCache, type KnownStores, type StoreNotes } from "./store-cache.ts";
import type { StoreScope } from "./store-source.ts";
import { type KeyStoreEntry, readKeyStore, readTrustStore, type TrustStore } from "./store-tls.ts";

interface SigningKey {
  readonly key: AssertionKey;
  /** In PEM, the certificate of the key first; empty: the key has no certificate. */
  readonly chain: readonly string[];
}

/** Looks keys and certificates up by the object of the file that names them. */
export interface Stores {
  readonly tlsOf: (ssl: Settings["ssl"]) => TlsSettings;
  readonly signingKeyOf: (jwt: JwtProfile) => SigningKey;
  readonly faults: readonly Fault[];
  readonly warnings: readonly Fault[];
  /** For reuse when the same stores are read again. */
  readonly known: ReadStores;
}

export interface ReadStores {
  readonly trusted: KnownStores<readonly string[]>;
  readonly identities: KnownStores<TlsIdentity>;
  readonly signingKeys: KnownStores<SigningKey>;
}

/** Stands in for a key if references are not looked up. */
const NO_KEY: SigningKey = { key: { kind: "hmac", secret: new Uint8Array(0) }, chain: [] };

/**
 * Loads one store after the other, without blocking the event loop. `former`: results to reuse; they must come from a file
 * whose stores are all inline. Rejects only if the signal of `budget` aborts.
 */
export async function loadStores(
  file: SoundFile,
  { former, ...scope }: StoreScope & { former: ReadStores | null },
): Promise<Stores> {
  const notes: StoreNotes = { faults: [], warnings: [] };
  const { trusted, identities, signingKeys } = createStoreCaches(scope, { notes, former });
  for (const [index, subscription] of (file.subscriptions ?? []).entries()) {
    const configuration = subscription?.configuration;
    if (configuration === undefined) continue;
    const path = ["subscriptions", index, "configuration"];
    const { ssl, auth } = deliverySettings(configuration);
    const sslPath = [...path, ...deliveryPath(configuration, "ssl")];
    const authPath = [...path, ...deliveryPath(configuration, "auth")];
    await trusted.load(ssl?.trustStore, [...sslPath, "trustStore"]);
    await identities.load(ssl?.keyStore, [...sslPath, "keyStore"]);
    if (auth?.type === "jwtProfileOauth2") {
      await signingKeys.load(auth.jwtProfileOauth2, [...authPath, "jwtProfileOauth2"]);
    }
    notes.warnings.push(...laxWarnings(ssl, sslPath));
    notes.warnings.push(...authWarnings(auth, { path: authPath, scope }));
  }
  return {
    tlsOf: (ssl) => ({
      trusted: trusted.valueOf(ssl?.trustStore),
      identity: identities.valueOf(ssl?.keyStore),
      verifiesCertificate: ssl?.trustAll !== true,
      verifiesHostName: ssl?.hostnameVerifier !== false,
    }),
    signingKeyOf: (jwt) => signingKeys.valueOf(jwt) ?? NO_KEY,
    faults: notes.faults,
    warnings: notes.warnings,
    known: { trusted: trusted.known, identities: identities.known, signingKeys: signingKeys.known },
  };
}

function createStoreCaches(
  scope: StoreScope,
  { notes, former }: { notes: StoreNotes; former: ReadStores | null },
) {
  const { secrets, budget } = scope;
  const { now } = scope.context;
  return {
    trusted: createStoreCache<TrustStore, readonly string[]>(
      async (store) =>
        mapReading(await readTrustStore(store, scope), (certificates) => ({
          value: certificates.map(String),
          warnings: certificateWarnings(certificates, now),
        })),
      { notes, secrets, budget, former: former?.trusted },
    ),
    identities: createStoreCache<KeyStoreEntry, TlsIdentity>(
      async (store) =>
        mapReading(await readKeyStore(store, scope), ({ key, chain }) => ({
          value: { key: toKeyPem(key), chain: chain.map(String) },
          warnings: certificateWarnings(chain, now),
        })),
      { notes, secrets, budget, former: former?.identities },
    ),
    signingKeys: createStoreCache<Jwt, SigningKey>(
      async (jwt) =>
        mapReading(await readSigningKey(jwt, scope), ({ key, chain }) => ({
          value: { key, chain: chain.map(String) },
          warnings: jwt.x509CertChain === "X5C" ? certificateWarnings(chain, now) : [],
        })),
      { notes, secrets, budget, former: former?.signingKeys },
    ),
  };
}

function laxWarnings(ssl: SoundConfiguration["ssl"], path: Path): Fault[] {
  return [
    ...(ssl?.trustAll === true
      ? [{ path: [...path, "trustAll"], message: "it accepts any certificate" }]
      : []),
    ...(ssl?.hostnameVerifier === false
      ? [
          {
            path: [...path, "hostnameVerifier"],
            message: "it accepts a certificate that is for another host",
          },
        ]
      : []),
  ];
}

function authWarnings(
  auth: SoundConfiguration["auth"],
  { path, scope }: { path: Path; scope: StoreScope },
): Fault[] {
  const secret = auth?.type === "token" ? auth.token?.value : undefined;
  const token = secret === undefined ? undefined : scope.secrets.valueOf(secret);
  const warnings = token === undefined ? [] : tokenWarnings(token, scope.context.now);
  return warnings.map((message) => ({ path: [...path, "token", "value"], message }));
}

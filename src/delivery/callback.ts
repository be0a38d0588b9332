// The settings of a callback, with defaults applied and secrets resolved.

import type { Header } from "./message.ts";
import type { Responses } from "./responses.ts";

export interface CallbackSettings {
  readonly url: URL;
  /** The URL without secrets and query. */
  readonly displayUrl: string;
  readonly method: "POST" | "PUT" | "PATCH";
  readonly headers: readonly Header[];
  readonly auth: CallbackAuth;
  /** One signature for each; empty: not signed. */
  readonly signatureKeys: readonly SignatureKey[];
  /** Secrets that its requests carry or are signed with: they are masked if an answer repeats them. */
  readonly secrets: readonly string[];
  /**
   * False: the subscription's owner does not know some of them. Then no answer is shown to them, because masking would
   * reveal whether they guessed a secret.
   */
  readonly ownsSecrets: boolean;
  /** The error of a failed attempt ends with the beginning of the answer. */
  readonly errorExcerpt: boolean;
  /** What its statuses mean; empty: the usual. */
  readonly responses: Responses;
  readonly route: Route;
  /** For the whole exchange, connecting included. */
  readonly readTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** The maximum pause that a token endpoint can ask for by `Retry-After`. */
  readonly maxPauseMs: number;
  readonly maxConcurrentConnections: number;
}

/** How to connect, to the callback and to its token endpoint alike. */
export interface Route {
  /** For all steps together, name resolution included. */
  readonly connectTimeoutMs: number;
  readonly tls: TlsSettings;
  readonly proxy: ProxyRule;
  readonly addresses: AddressRules;
}

export type CallbackAuth =
  | { readonly kind: "none" }
  | { readonly kind: "basic"; readonly username: string; readonly password: string }
  | { readonly kind: "token"; readonly value: string }
  | {
      readonly kind: "oauth2";
      readonly tokenUrl: URL;
      /** The URL without secrets and query. */
      readonly tokenDisplayUrl: string;
      readonly clientId: string;
      readonly clientSecret: string;
      /** Empty: the server's default scopes. */
      readonly scopes: readonly string[];
      /** Null: the server derives it. */
      readonly audience: string | null;
      readonly clientAuthentication: "body" | "basic";
      readonly parameters: readonly TokenParameter[];
      readonly tokenType: string;
    }
  | {
      readonly kind: "jwt-profile";
      readonly tokenUrl: URL;
      readonly tokenDisplayUrl: string;
      readonly assertion: AssertionSettings;
      readonly parameters: readonly TokenParameter[];
      readonly tokenType: string;
    };

/** Additional parameters of a token endpoint. */
export type TokenParameter = readonly [name: string, value: string];

/** A JWT that is exchanged for an access token: RFC 7523. */
export interface AssertionSettings {
  readonly issuer: string;
  readonly subject: string;
  readonly audience: string;
  readonly lifetimeMs: number;
  readonly algorithm: "RS256" | "HS256" | "HS384" | "HS512";
  readonly key: AssertionKey;
  readonly keyId: string | null;
  /** Null: a random one for each request. */
  readonly jwtId: string | null;
  /** The `x5c` header: certificates in PEM, the signer's first; empty: not sent. */
  readonly chain: readonly string[];
  readonly customClaims: readonly (readonly [name: string, value: string])[];
}

/** `pem`: PKCS#8, not encrypted. */
export type AssertionKey =
  | { readonly kind: "rsa"; readonly pem: string }
  | { readonly kind: "hmac"; readonly secret: Uint8Array };

/** `seed`: 32 bytes. */
export type SignatureKey =
  | { readonly kind: "hmac-sha256"; readonly secret: Uint8Array }
  | { readonly kind: "ed25519"; readonly seed: Uint8Array };

export interface TlsSettings {
  /** Certificates in PEM; null: the system's. */
  readonly trusted: readonly string[] | null;
  readonly identity: TlsIdentity | null;
  /** False: accepts any certificate. */
  readonly verifiesCertificate: boolean;
  /** False: accepts a certificate for another host. */
  readonly verifiesHostName: boolean;
}

export interface TlsIdentity {
  /** PKCS#8 in PEM, not encrypted. */
  readonly key: string;
  /** In PEM, the own certificate first. */
  readonly chain: readonly string[];
}

export interface Proxy {
  readonly type: "http" | "socks4" | "socks5";
  /** IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly username: string | null;
  readonly password: string | null;
}

export type ProxyRule =
  | { readonly kind: "none" }
  | { readonly kind: "fixed"; readonly proxy: Proxy }
  /** By the scheme of the URL; hosts in `noProxy` are reached directly. */
  | {
      readonly kind: "system";
      readonly http: Proxy | null;
      readonly https: Proxy | null;
      readonly noProxy: readonly string[];
    };

/** Addresses and ranges such as `10.0.0.0/8`. The most specific match decides; on a tie the address is denied. */
export interface AddressRules {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** True: denies loopback, unspecified and private ranges if nothing else matches. */
  readonly deniesPrivate: boolean;
}

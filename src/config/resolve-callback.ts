// How a callback is called, as a subscription and its entrypoint say it together, in delivery's words.

import type {
  AddressRules,
  AssertionSettings,
  CallbackAuth,
  CallbackSettings,
  SignatureKey,
} from "#delivery/callback.ts";
import type { Header } from "#delivery/message.ts";
import { isOrdered } from "#delivery/subscription.ts";
import { hiddenPartsOfAuth, hiddenPartsOfHeader, hiddenPartsOfUrl } from "./hidden-parts.ts";
import type { ResolveScope } from "./resolve.ts";
import { resolveProxyRule } from "./resolve-proxy.ts";
import type { Settings } from "./resolve-subscription.ts";
import type { ConfigFile, Entrypoint } from "./schema.ts";
import type { Secret } from "./schema-secret.ts";

/** What a URL by reference stands for where references are not looked up. */
const UNKNOWN_URL = "http://reference.invalid/";

export function resolveCallback(
  settings: Settings,
  { file, entrypoint, scope }: { file: ConfigFile; entrypoint: Entrypoint; scope: ResolveScope },
): { callback: CallbackSettings; hidden: readonly string[] } {
  const { configuration, qos } = entrypoint;
  const { http } = configuration;
  const secret = settings.callbackUrl ?? configuration.callbackUrl;
  const { url, displayUrl, hidden } = toUrl(secret, scope);
  const headers = joinHeaders(
    toHeaders(configuration.headers ?? [], scope),
    toHeaders(settings.headers ?? [], scope),
  );
  const auth = toAuth(settings.auth, scope);
  const tokenEndpoint = tokenEndpointOf(settings.auth);
  const callback: CallbackSettings = {
    url,
    displayUrl,
    method: settings.method ?? configuration.method ?? "POST",
    headers,
    auth,
    signatureKeys: (settings.signature?.secrets ?? []).map((key) => toSignatureKey(valueOf(key, scope))),
    route: {
      connectTimeoutMs: http.connectTimeout,
      tls: scope.stores.tlsOf(settings.ssl),
      proxy: resolveProxyRule(configuration.proxy, { file, scope }),
      addresses: toAddressRules(file.callbacks),
    },
    readTimeoutMs: http.readTimeout,
    idleTimeoutMs: http.idleTimeout,
    maxConcurrentConnections: isOrdered(qos) ? 1 : http.maxConcurrentConnections,
  };
  return {
    callback,
    hidden: [
      ...hidden,
      ...(tokenEndpoint === null ? [] : toUrl(tokenEndpoint, scope).hidden),
      ...headers.flatMap(hiddenPartsOfHeader),
      ...hiddenPartsOfAuth(auth),
    ],
  };
}

/** The placeholder stands only where references are not looked up. */
function valueOf(secret: Secret | undefined, { secrets }: ResolveScope): string {
  return (secret === undefined ? undefined : secrets.valueOf(secret)) ?? "";
}

interface ResolvedUrl {
  readonly url: URL;
  readonly displayUrl: string;
  readonly hidden: readonly string[];
}

/** Of one by reference only the origin is shown. */
function toUrl(secret: Secret | undefined, scope: ResolveScope): ResolvedUrl {
  const url = new URL(valueOf(secret, scope) || UNKNOWN_URL);
  url.hash = "";
  const isReference = secret !== undefined && secret.source.kind !== "inline";
  return {
    url,
    displayUrl: isReference ? url.origin : `${url.origin}${url.pathname}`,
    hidden: hiddenPartsOfUrl(url, { isReference }),
  };
}

function tokenEndpointOf(auth: Settings["auth"]): Secret | null {
  if (auth?.type === "oauth2") return auth.oauth2.endpoint;
  return auth?.type === "jwtProfileOauth2"
    ? (auth.jwtProfileOauth2.endpoint ?? auth.jwtProfileOauth2.audience)
    : null;
}

function toHeaders(headers: NonNullable<Settings["headers"]>, scope: ResolveScope): readonly Header[] {
  return headers.map(({ name, value }) => [name, valueOf(value, scope)] as const);
}

/** By name: what a subscription says replaces what its entrypoint says. */
function joinHeaders(defaults: readonly Header[], own: readonly Header[]): readonly Header[] {
  const names = new Set(own.map(([name]) => name.toLowerCase()));
  return [...defaults.filter(([name]) => !names.has(name.toLowerCase())), ...own];
}

function toAuth(auth: Settings["auth"], scope: ResolveScope): CallbackAuth {
  switch (auth?.type) {
    case undefined:
    case "none":
      return { kind: "none" };
    case "basic":
      return {
        kind: "basic",
        username: valueOf(auth.basic.username, scope),
        password: valueOf(auth.basic.password, scope),
      };
    case "token":
      return { kind: "token", value: valueOf(auth.token.value, scope) };
    case "oauth2": {
      const { endpoint, clientId, clientSecret, scopes, clientAuthentication } = auth.oauth2;
      const { url, displayUrl } = toUrl(endpoint, scope);
      return {
        kind: "oauth2",
        tokenUrl: url,
        tokenDisplayUrl: displayUrl,
        clientId: valueOf(clientId, scope),
        clientSecret: valueOf(clientSecret, scope),
        scopes,
        clientAuthentication,
      };
    }
    case "jwtProfileOauth2": {
      const jwt = auth.jwtProfileOauth2;
      const { url, displayUrl } = toUrl(jwt.endpoint ?? jwt.audience, scope);
      return {
        kind: "jwt-profile",
        tokenUrl: url,
        tokenDisplayUrl: displayUrl,
        assertion: toAssertion(jwt, scope),
      };
    }
  }
}

type JwtProfile = Extract<Settings["auth"], { type: "jwtProfileOauth2" }>["jwtProfileOauth2"];

const UNIT_MS = { SECONDS: 1000, MINUTES: 60_000, HOURS: 3_600_000, DAYS: 86_400_000 } as const;
const ALGORITHMS = {
  RSA_RS256: "RS256",
  HMAC_HS256: "HS256",
  HMAC_HS384: "HS384",
  HMAC_HS512: "HS512",
} as const;

function toAssertion(jwt: JwtProfile, scope: ResolveScope): AssertionSettings {
  const { key, chain } = scope.stores.signingKeyOf(jwt);
  return {
    issuer: valueOf(jwt.issuer, scope),
    subject: valueOf(jwt.subject, scope),
    audience: valueOf(jwt.audience, scope),
    lifetimeMs: jwt.expirationTime * UNIT_MS[jwt.expirationTimeUnit],
    algorithm: ALGORITHMS[jwt.signatureAlgorithm],
    key,
    keyId: jwt.keyId === undefined ? null : valueOf(jwt.keyId, scope),
    jwtId: jwt.jwtId === undefined ? null : valueOf(jwt.jwtId, scope),
    chain: jwt.x509CertChain === "X5C" ? chain : [],
    customClaims: jwt.customClaims.map(({ name, value }) => [name, value] as const),
  };
}

/** The checks have seen that it is a key. */
function toSignatureKey(text: string): SignatureKey {
  const bytes = Buffer.from(text.slice(text.indexOf("_") + 1), "base64");
  return text.startsWith("whsk_")
    ? { kind: "ed25519", seed: bytes.subarray(0, 32) }
    : { kind: "hmac-sha256", secret: bytes };
}

function toAddressRules({ allow, deny = [] }: ConfigFile["callbacks"]): AddressRules {
  return { allow, deny, deniesPrivate: false };
}

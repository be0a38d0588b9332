// Resolves the callback settings of a subscription and its entrypoint to `CallbackSettings`.

import type {
  AddressRules,
  AssertionSettings,
  CallbackAuth,
  CallbackSettings,
  Proxy,
  ProxyRule,
  SignatureKey,
} from "#delivery/callback.ts";
import type { Header } from "#delivery/message.ts";
import { isForwarded, proxyFor } from "#delivery/proxy.ts";
import { toResponses } from "#delivery/responses.ts";
import { isOrdered } from "#delivery/subscription.ts";
import type { ConfigFile, Entrypoint, JwtProfile, Settings } from "#schema/file.ts";
import type { Secret } from "#schema/secret.ts";
import { readProxyEnvironment } from "./proxy-environment.ts";
import { secretsIn, secretsInAuth, secretsInProxy, secretsInUrl } from "./request-secrets.ts";
import type { ConfigContext, Secrets } from "./secrets.ts";
import type { Stores } from "./stores.ts";

/** Everything outside the file that resolving needs. */
export interface ResolveScope {
  readonly context: ConfigContext;
  readonly secrets: Secrets;
  readonly stores: Stores;
}

/** Replaces a URL given by reference if references are not looked up. */
const UNKNOWN_URL = "http://reference.invalid/";

interface CallbackOrigin {
  readonly file: ConfigFile;
  readonly entrypoint: Entrypoint;
  readonly scope: ResolveScope;
  /** A subscription made by API may not reach private addresses, nor show the secrets of the file. */
  readonly origin: "file" | "api";
  readonly maxPauseMs: number;
}

export function resolveCallback(
  settings: Settings,
  { file, entrypoint, scope, origin, maxPauseMs }: CallbackOrigin,
): CallbackSettings {
  const { configuration, qos } = entrypoint;
  const { http } = configuration;
  const { url, displayUrl } = toUrl(settings.callbackUrl ?? configuration.callbackUrl, scope);
  const ownHeaders = settings.headers ?? [];
  const isShared = origin === "file" || entrypoint.shareHeaders;
  const sharedHeaders = isShared ? withoutNames(configuration.headers ?? [], ownHeaders) : [];
  const auth = toAuth(settings.auth, scope);
  const proxy = resolveProxyRule(configuration.proxy, { file, scope });
  const own = [
    ...secretsIn([ownHeaders, settings.auth, settings.signature], scope.secrets),
    ...secretsInAuth(auth),
    ...secretsInCallee(settings.callbackUrl, scope),
    ...secretsInCallee(tokenEndpointOf(settings.auth), scope),
  ];
  const shared = secretsIn(sharedHeaders, scope.secrets);
  const lent = [
    ...(settings.callbackUrl === undefined ? secretsInCallee(configuration.callbackUrl, scope) : []),
    ...secretsInForwarding(url, proxy),
  ];
  const secrets = [...new Set([...own, ...shared, ...lent])].filter(isFilled);
  // A tenant can send shared headers to a URL of their own, so these are no secret to them, unless the URL is shared too.
  const ownsSecrets =
    secrets.length === 0 ||
    (origin === "api" && lent.length === 0 && (shared.length === 0 || settings.callbackUrl !== undefined));
  return {
    url,
    displayUrl,
    method: settings.method ?? configuration.method ?? "POST",
    headers: toPairs([...sharedHeaders, ...ownHeaders], scope),
    auth,
    signatureKeys: (settings.signature?.secrets ?? []).map((key) => toSignatureKey(valueOf(key, scope))),
    secrets,
    ownsSecrets,
    errorExcerpt: configuration.logging.errorExcerpt && (origin === "file" || ownsSecrets),
    route: {
      connectTimeoutMs: http.connectTimeout,
      tls: scope.stores.tlsOf(settings.ssl),
      proxy,
      addresses: { ...toAddressRules(file.callbacks), deniesPrivate: origin === "api" },
    },
    responses: toResponses({ ...configuration.responses, ...settings.responses }),
    readTimeoutMs: http.readTimeout,
    idleTimeoutMs: http.idleTimeout,
    maxPauseMs,
    maxConcurrentConnections:
      isOrdered(qos) && (settings.ordering ?? configuration.ordering)?.key === undefined
        ? 1
        : http.maxConcurrentConnections,
  };
}

function secretsInCallee(secret: Secret | undefined, scope: ResolveScope): readonly string[] {
  if (secret === undefined) return [];
  const { url, isReference } = toUrl(secret, scope);
  return [...secretsIn(secret, scope.secrets), ...secretsInUrl(url, { isReference })].filter(isFilled);
}

function isFilled(text: string): boolean {
  return text !== "";
}

/** A forwarding proxy may repeat its credentials in an answer. An answer through a tunnel cannot contain them. */
function secretsInForwarding(url: URL, rule: ProxyRule): readonly string[] {
  const proxy = proxyFor(url, rule);
  return isForwarded(url, proxy) ? secretsInProxy(proxy) : [];
}

/** Empty only if references are not looked up. */
function valueOf(secret: Secret | undefined, { secrets }: ResolveScope): string {
  return (secret === undefined ? undefined : secrets.valueOf(secret)) ?? "";
}

interface ResolvedUrl {
  readonly url: URL;
  readonly displayUrl: string;
  readonly isReference: boolean;
}

/** Shows only the origin of a URL given by reference. */
function toUrl(secret: Secret | undefined, scope: ResolveScope): ResolvedUrl {
  const url = new URL(valueOf(secret, scope) || UNKNOWN_URL);
  url.hash = "";
  const isReference = secret !== undefined && secret.source.kind !== "inline";
  return {
    url,
    displayUrl: isReference ? url.origin : `${url.origin}${url.pathname}`,
    isReference,
  };
}

function tokenEndpointOf(auth: Settings["auth"]): Secret | undefined {
  if (auth?.type === "oauth2") return auth.oauth2.endpoint;
  return auth?.type === "jwtProfileOauth2"
    ? (auth.jwtProfileOauth2.endpoint ?? auth.jwtProfileOauth2.audience)
    : undefined;
}

type ProxySettings = Entrypoint["configuration"]["proxy"];

/** The fallbacks are never used: the checks require these keys. */
function resolveProxyRule(
  settings: ProxySettings,
  { file, scope }: { file: ConfigFile; scope: ResolveScope },
): ProxyRule {
  if (!settings.enabled) return { kind: "none" };
  if (settings.useSystemProxy) return resolveSystemProxy(file, scope);
  const { type = "HTTP", host = "", port = 0 } = settings;
  return { kind: "fixed", proxy: toProxy({ ...settings, type, host, port, noProxy: [] }, scope) };
}

function resolveSystemProxy({ system }: ConfigFile, scope: ResolveScope): ProxyRule {
  if (system.proxy === undefined) {
    const environment = readProxyEnvironment(scope.context.env);
    return environment.kind === "found" ? environment.rule : { kind: "none" };
  }
  const proxy = toProxy(system.proxy, scope);
  return { kind: "system", http: proxy, https: proxy, noProxy: system.proxy.noProxy };
}

function toProxy(
  { type, host, port, username, password }: NonNullable<ConfigFile["system"]["proxy"]>,
  { secrets }: ResolveScope,
): Proxy {
  return {
    type: TYPES[type],
    host: host.replace(/^\[(.*)\]$/u, "$1"),
    port,
    username: username === undefined ? null : (secrets.valueOf(username) ?? ""),
    password: password === undefined ? null : (secrets.valueOf(password) ?? ""),
  };
}

const TYPES = { HTTP: "http", SOCKS4: "socks4", SOCKS5: "socks5" } as const;

type Headers = NonNullable<Settings["headers"]>;

function toPairs(entries: Headers, scope: ResolveScope): readonly Header[] {
  return entries.map(({ name, value }) => [name, valueOf(value, scope)] as const);
}

/** Drops the entrypoint's headers that the subscription sets itself; names are compared without case. */
function withoutNames(defaults: Headers, own: Headers): Headers {
  const names = new Set(own.map(({ name }) => name.toLowerCase()));
  return defaults.filter(({ name }) => !names.has(name.toLowerCase()));
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
      const { endpoint, clientId, clientSecret, audience, parameters, ...more } = auth.oauth2;
      const { url, displayUrl } = toUrl(endpoint, scope);
      return {
        kind: "oauth2",
        tokenUrl: url,
        tokenDisplayUrl: displayUrl,
        clientId: valueOf(clientId, scope),
        clientSecret: valueOf(clientSecret, scope),
        scopes: more.scopes,
        audience: audience === undefined ? null : valueOf(audience, scope),
        clientAuthentication: more.clientAuthentication,
        parameters: toPairs(parameters, scope),
        tokenType: more.tokenType,
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
        parameters: toPairs(jwt.parameters, scope),
        tokenType: jwt.tokenType,
      };
    }
  }
}

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

/** The checks have verified the form of the key. */
function toSignatureKey(text: string): SignatureKey {
  const bytes = Buffer.from(text.slice(text.indexOf("_") + 1), "base64");
  return text.startsWith("whsk_")
    ? { kind: "ed25519", seed: bytes.subarray(0, 32) }
    : { kind: "hmac-sha256", secret: bytes };
}

function toAddressRules({ allow, deny = [] }: ConfigFile["callbacks"]): Omit<AddressRules, "deniesPrivate"> {
  return { allow, deny };
}

// Checks a subscription's `auth`, `ssl` and `signature` beyond their schemas.

import type { Fault, Path } from "#schema/issue.ts";
import type { Secret } from "#schema/secret.ts";
import type { Sound } from "#schema/validate.ts";
import { type CallbackScope, checkUrl, HEADER_VALUE } from "./check-callback.ts";
import type { SoundConfiguration } from "./references.ts";

interface Place {
  readonly pathOf: (key: string) => Path;
  readonly scope: CallbackScope;
}

type Security = Pick<SoundConfiguration, "auth" | "ssl" | "signature">;

export function checkCallbackSecurity(security: Security, { pathOf, scope }: Place): Fault[] {
  return [
    ...checkAuth(security.auth, { path: pathOf("auth"), scope }),
    ...checkStores(security.ssl, pathOf("ssl")),
    ...checkSignature(security.signature, { path: pathOf("signature"), scope }),
  ];
}

interface AuthPlace {
  readonly path: Path;
  readonly scope: CallbackScope;
}

function checkAuth(auth: Security["auth"], { path, scope }: AuthPlace): Fault[] {
  if (auth?.type === "basic") return checkBasic(auth.basic ?? {}, { path: [...path, "basic"], scope });
  if (auth?.type === "token")
    return checkToken(auth.token?.value, { path: [...path, "token", "value"], scope });
  if (auth?.type === "oauth2") {
    const { endpoint, parameters } = auth.oauth2 ?? {};
    const at = [...path, "oauth2"];
    const url = endpoint === undefined ? undefined : scope.valueOf(endpoint);
    return [
      ...(url === undefined ? [] : checkUrl(url, [...at, "endpoint"])),
      ...checkParameters(parameters, { path: [...at, "parameters"], refused: OAUTH2_PARAMETERS }),
    ];
  }
  if (auth?.type !== "jwtProfileOauth2" || auth.jwtProfileOauth2 === undefined) return [];
  const jwt = auth.jwtProfileOauth2;
  const at = [...path, "jwtProfileOauth2"];
  const faults: Fault[] = [];
  const named = jwt.endpoint ?? jwt.audience;
  const url = named === undefined ? undefined : scope.valueOf(named);
  if (url !== undefined) {
    const isNamed = jwt.endpoint !== undefined;
    const found = checkUrl(url, [...at, isNamed ? "endpoint" : "audience"]);
    faults.push(
      ...(isNamed
        ? found
        : found.map(({ path: place, message }) => ({
            path: place,
            message: `${message}, or an endpoint beside it`,
          }))),
    );
  }
  const [issuer, subject] = [jwt.issuer, jwt.subject].map((part) => part && scope.valueOf(part));
  // If they are equal, the assertion authenticates the client, and Relay sends `client_id` itself.
  const refused = issuer === subject ? { ...JWT_PARAMETERS, client_id: "it is the issuer" } : JWT_PARAMETERS;
  faults.push(...checkParameters(jwt.parameters, { path: [...at, "parameters"], refused }));
  const isHmac = jwt.signatureAlgorithm?.startsWith("HMAC_") === true;
  if (isHmac && jwt.keySource !== undefined && jwt.keySource !== "INLINE") {
    faults.push({ path: [...at, "keySource"], message: `${jwt.keySource} is for RSA only, allowed: INLINE` });
  }
  return faults;
}

/** Why each parameter is refused, by the name of the parameter. */
type RefusedParameters = Readonly<Record<string, string>>;

const JWT_PARAMETERS: RefusedParameters = {
  grant_type: "it is set by Relay itself",
  assertion: "it is set by Relay itself",
  client_assertion: "it is set by Relay itself",
  client_assertion_type: "it is set by Relay itself",
};
const OAUTH2_PARAMETERS: RefusedParameters = {
  ...JWT_PARAMETERS,
  client_id: "use clientId",
  client_secret: "use clientSecret",
  scope: "use scopes",
  audience: "use audience",
};

function checkParameters(
  parameters: readonly (Sound<{ name: string; value: Secret }> | undefined)[] | undefined,
  { path, refused }: { readonly path: Path; readonly refused: RefusedParameters },
): Fault[] {
  return (parameters ?? []).flatMap((parameter, index) => {
    const name = parameter?.name?.toLowerCase() ?? "";
    const message = Object.hasOwn(refused, name) ? refused[name] : undefined;
    return message === undefined
      ? []
      : [{ path: [...path, index, "name"], message: `${parameter?.name}: ${message}` }];
  });
}

interface BasicPart {
  readonly username?: Secret | undefined;
  readonly password?: Secret | undefined;
}

/** RFC 7617, 2: no control characters in either, and no colon in the user name, because the first one ends it. */
function checkBasic(basic: BasicPart, { path, scope }: AuthPlace): Fault[] {
  const { username, password } = basic;
  const faults: Fault[] = [];
  if (username !== undefined && /[:\p{Cc}]/u.test(scope.valueOf(username) ?? "")) {
    const message = "allowed: a user name without colons, line breaks and other control characters";
    faults.push({ path: [...path, "username"], message });
  }
  if (password !== undefined && /\p{Cc}/u.test(scope.valueOf(password) ?? "")) {
    const message = "allowed: a password without line breaks and other control characters";
    faults.push({ path: [...path, "password"], message });
  }
  return faults;
}

function checkToken(token: Secret | undefined, { path, scope }: AuthPlace): Fault[] {
  const value = token === undefined ? undefined : scope.valueOf(token);
  if (value === undefined || (HEADER_VALUE.test(value) && value.trim() !== "")) return [];
  const message =
    "allowed: a token that is not empty, of Latin-1 characters without line breaks and other control characters";
  return [{ path, message }];
}

/** A store needs exactly one key of each pair, such as `path` and `content`. */
function checkStores(ssl: Security["ssl"], path: Path): Fault[] {
  const { trustStore, keyStore } = ssl ?? {};
  const trust =
    trustStore === undefined ? [] : [{ at: "trustStore", store: trustStore, pair: ["path", "content"] }];
  const keys =
    keyStore === undefined
      ? []
      : pairsOf(keyStore.type).map((pair) => ({ at: "keyStore", store: keyStore, pair }));
  return [...trust, ...keys].flatMap(({ at, store, pair }) => {
    const [first = "", second = ""] = pair;
    const count = pair.filter((key) => key in store).length;
    if (count === 1) return [];
    return count === 0
      ? [{ path: [...path, at, first], message: `missing, this or ${second}` }]
      : [{ path: [...path, at, second], message: `excluded by ${first}: give one of them` }];
  });
}

function pairsOf(type: string | undefined): readonly (readonly string[])[] {
  if (type === undefined) return [];
  return type === "PEM"
    ? [
        ["keyPath", "keyContent"],
        ["certPath", "certContent"],
      ]
    : [["path", "content"]];
}

/** Standard Webhooks asks for keys of 24 to 64 bytes; an ed25519 key is the seed, or the seed and the public key. */
function checkSignature(
  signature: Security["signature"],
  { path, scope }: { path: Path; scope: CallbackScope },
): Fault[] {
  return (signature?.secrets ?? []).flatMap((secret, index) => {
    const value = secret === undefined ? undefined : scope.valueOf(secret);
    if (value === undefined || isSignatureKey(value)) return [];
    const message = "allowed: whsec_ and 24 to 64 bytes in base64, or whsk_ and 32 or 64 bytes in base64";
    return [{ path: [...path, "secrets", index], message }];
  });
}

function isSignatureKey(value: string): boolean {
  const match =
    /^(whsec_|whsk_)((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?)$/u.exec(value);
  if (match === null) return false;
  const [, prefix, content = ""] = match;
  const { length } = Buffer.from(content, "base64");
  return prefix === "whsec_" ? length >= 24 && length <= 64 : length === 32 || length === 64;
}

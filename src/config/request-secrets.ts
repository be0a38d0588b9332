// Lists the secrets of a subscription's requests, which must be masked if an answer repeats them.

import type { CallbackAuth, Proxy } from "#delivery/callback.ts";
import { listSecrets, type Secrets } from "./secrets.ts";

/** In characters. A shorter path occurs too often in other text to be masked, and is hardly a secret. */
const MIN_PATH_LENGTH = 16;

/** The secrets in a part of the file: whole, and those pieces of them that are as secret as the whole. */
export function secretsIn(part: unknown, secrets: Secrets): readonly string[] {
  return listSecrets(part).flatMap((secret) => {
    const value = secrets.valueOf(secret);
    if (value === undefined || (secret.isPublic && secret.source.kind === "inline")) return [];
    return isOrigin(value) ? [] : [value].concat(substanceOf(value));
  });
}

/** The query of any URL. If the URL is given by reference, also its path, but never its origin. */
export function secretsInUrl(url: URL, { isReference }: { isReference: boolean }): readonly string[] {
  const query = [url.search.slice(1), ...url.searchParams.values()];
  const path = `${url.pathname}${url.search}`;
  return isReference && path.length >= MIN_PATH_LENGTH ? [url.href, path, ...query] : query;
}

/** Secrets in the encodings of a request: the base64 of basic authentication, and the form text of a token request. */
export function secretsInAuth(auth: CallbackAuth): readonly string[] {
  switch (auth.kind) {
    case "basic":
      return [toBasic(auth.username, auth.password)];
    case "oauth2": {
      const secret = toFormText(auth.clientSecret);
      return [secret, toBasic(toFormText(auth.clientId), secret), ...secretsInParameters(auth)];
    }
    case "jwt-profile":
      return secretsInParameters(auth);
    case "none":
    case "token":
      return [];
  }
}

function secretsInParameters({
  parameters,
}: Extract<CallbackAuth, { kind: "oauth2" | "jwt-profile" }>): readonly string[] {
  return parameters.map(([, value]) => toFormText(value));
}

export function secretsInProxy({ username, password }: Proxy): readonly string[] {
  return username === null || password === null ? [] : [password, toBasic(username, password)];
}

/** True: the part contains a secret itself, not a reference. Such a part may be stored only encrypted. */
export function holdsInlineSecret(part: unknown): boolean {
  return listSecrets(part).some(({ source, isPublic }) => source.kind === "inline" && !isPublic);
}

/** True: the part contains a secret, itself or by reference. */
export function holdsAnySecret(part: unknown): boolean {
  return listSecrets(part).some(({ source, isPublic }) => source.kind !== "inline" || !isPublic);
}

/** True for a URL that is only an origin, which may be shown. */
function isOrigin(text: string): boolean {
  return /^https?:\/\/[^/?#\s]+\/?$/iu.test(text);
}

/** The token after `Bearer` or another scheme, the key after `whsec_`, and the base64 lines of a PEM. */
function substanceOf(value: string): readonly string[] {
  const [, after = null] = /^(?:[A-Za-z]+ +|whsec_|whsk_)(\S+)$/u.exec(value) ?? [];
  const lines = value.split(/\r?\n/u);
  return [
    ...(after === null ? [] : [after]),
    ...(lines.length === 1 ? [] : lines.filter((line) => /^(?!-----)[\w+/=.-]{16,}$/u.test(line))),
  ];
}

/** Encodes a value as `application/x-www-form-urlencoded`. */
function toFormText(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}

function toBasic(username: string, password: string): string {
  return Buffer.from(`${username}:${password}`, "utf8").toString("base64");
}

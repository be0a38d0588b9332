// Lists the secrets of a subscription's requests, which must be masked if an answer repeats them.

import type { CallbackAuth, Proxy } from "#delivery/callback.ts";
import { listSecrets, type Secrets } from "./secrets.ts";

/** A shorter path says too little, and occurs too often elsewhere, to be masked. */
const MIN_PATH_LENGTH = 16;

/** The secrets that stand in a part of the file, as they are and in those pieces of them that say as much. */
export function secretsIn(part: unknown, secrets: Secrets): readonly string[] {
  return listSecrets(part).flatMap((secret) => {
    const value = secrets.valueOf(secret);
    if (value === undefined || (secret.isPublic && secret.source.kind === "inline")) return [];
    return isOrigin(value) ? [] : [value].concat(substanceOf(value));
  });
}

/** The query of any URL; of one given by reference the path too, but not the origin. */
export function secretsInUrl(url: URL, { isReference }: { isReference: boolean }): readonly string[] {
  const query = [url.search.slice(1), ...url.searchParams.values()];
  const path = `${url.pathname}${url.search}`;
  return isReference && path.length >= MIN_PATH_LENGTH ? [url.href, path, ...query] : query;
}

/** What basic authentication sends, to the callback or to its token endpoint, and how a token request writes what is secret. */
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

/** Whether a part of the file gives a secret in the file itself: that may be kept only where it is encrypted. */
export function holdsInlineSecret(part: unknown): boolean {
  return listSecrets(part).some(({ source, isPublic }) => source.kind === "inline" && !isPublic);
}

/** Whether a part of the file gives a secret, in the file itself or by reference. */
export function holdsAnySecret(part: unknown): boolean {
  return listSecrets(part).some(({ source, isPublic }) => source.kind !== "inline" || !isPublic);
}

/** A bare origin of a URL may be shown. */
function isOrigin(text: string): boolean {
  return /^https?:\/\/[^/?#\s]+\/?$/iu.test(text);
}

/** What follows `Bearer` and its kind, the key of a `whsec_…`, and the lines of a PEM that hold the key. */
function substanceOf(value: string): readonly string[] {
  const [, after = null] = /^(?:[A-Za-z]+ +|whsec_|whsk_)(\S+)$/u.exec(value) ?? [];
  const lines = value.split(/\r?\n/u);
  return [
    ...(after === null ? [] : [after]),
    ...(lines.length === 1 ? [] : lines.filter((line) => /^(?!-----)[\w+/=.-]{16,}$/u.test(line))),
  ];
}

/** As `application/x-www-form-urlencoded` writes it. */
function toFormText(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}

function toBasic(username: string, password: string): string {
  return Buffer.from(`${username}:${password}`, "utf8").toString("base64");
}

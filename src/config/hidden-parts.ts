// The parts of URLs, headers and credentials that give a secret away on their own.

import type { Header } from "#delivery/message.ts";
import type { SubscriptionEntry } from "./schema.ts";
import type { Secret } from "./schema-secret.ts";

/** A shorter path says too little, and occurs too often elsewhere, to be masked. */
const MIN_PATH_LENGTH = 16;

/** The query of any URL; of one given by reference the path too, but not the origin. */
export function hiddenPartsOfUrl(url: URL, { isReference }: { isReference: boolean }): readonly string[] {
  const query = [url.search.slice(1), ...url.searchParams.values()];
  const path = `${url.pathname}${url.search}`;
  return isReference && path.length >= MIN_PATH_LENGTH ? [url.href, path, ...query] : query;
}

/** Whether a text is the bare origin of a URL, which may be shown. */
export function isOrigin(text: string): boolean {
  return /^https?:\/\/[^/?#\s]+\/?$/iu.test(text);
}

/** The lines of a secret in several lines that hold its substance: of PEM, of `.creds`. */
export function hiddenLines(value: string): readonly string[] {
  const lines = value.split(/\r?\n/u);
  if (lines.length === 1) return [];
  return lines.filter((line) => /^(?!-----)[\w+/=.-]{16,}$/u.test(line));
}

/** What follows the scheme in `Authorization: Bearer …` and its kind. */
export function hiddenPartsOfHeader([, value]: Header): readonly string[] {
  const token = /^[A-Za-z]+ +(\S{8,})$/u.exec(value)?.[1];
  return token === undefined ? [] : [token];
}

/** What basic authentication sends. */
export function hiddenPartsOfAuth(
  auth: SubscriptionEntry["configuration"]["auth"],
  valueOf: (secret: Secret) => string | undefined,
): readonly string[] {
  if (auth?.type !== "basic") return [];
  const { username, password } = auth.basic;
  return [Buffer.from(`${valueOf(username) ?? ""}:${valueOf(password) ?? ""}`, "utf8").toString("base64")];
}

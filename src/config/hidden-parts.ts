// The parts of URLs, headers and credentials that give a secret away on their own.

import type { CallbackAuth } from "#delivery/callback.ts";
import type { Header } from "#delivery/message.ts";

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

/** What basic authentication sends, to the callback or to its token endpoint. */
export function hiddenPartsOfAuth(auth: CallbackAuth): readonly string[] {
  switch (auth.kind) {
    case "basic":
      return [basicCredentials(auth.username, auth.password)];
    case "oauth2": {
      const secret = toFormText(auth.clientSecret);
      return [secret, basicCredentials(toFormText(auth.clientId), secret)];
    }
    case "none":
    case "token":
    case "jwt-profile":
      return [];
  }
}

/** As `application/x-www-form-urlencoded` writes it. */
function toFormText(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}

function basicCredentials(username: string, password: string): string {
  return Buffer.from(`${username}:${password}`, "utf8").toString("base64");
}

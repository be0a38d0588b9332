// Adds an access token to request headers, and hides credentials in headers that are shown.

import { MASK } from "#lib/mask.ts";
import { toHeaderLines } from "./request-writer.ts";
import type { AccessToken } from "./token-endpoint.ts";

/** `lines`: by `toHeaderLines`. */
export function withAuthorization(lines: string, token: AccessToken): string {
  return lines + toHeaderLines(["Authorization", token.authorization]);
}

/**
 * Headers, name and value alternating, with credentials replaced by `***`: those of well-known schemes (the scheme
 * stays) and the values of `hiddenNames`, which are in lower case.
 */
export function hideCredentials(
  headers: readonly string[],
  hiddenNames: ReadonlySet<string>,
): readonly string[] {
  return headers.map((text, index) => {
    if (index % 2 === 0) return text;
    const name = headers[index - 1] ?? "";
    if (CREDENTIALS.test(name)) return hideCredential(text);
    return hiddenNames.has(name.toLowerCase()) ? MASK : text;
  });
}

const CREDENTIALS = /^(?:proxy-)?authorization$/i;
const SCHEME = /^(?:basic|bearer|digest|token)(?= )/i;

function hideCredential(value: string): string {
  const scheme = SCHEME.exec(value)?.[0];
  return scheme === undefined ? MASK : `${scheme} ${MASK}`;
}

// Credentials in request headers: how an access token is added, and how what was sent is shown without any.

import type { AccessToken } from "./token-result.ts";

export function withAuthorization(headers: readonly string[], token: AccessToken): string[] {
  return [...headers, "Authorization", token.authorization];
}

/** The headers, name and value in turn, with `***` in place of credentials; a well-known scheme stays. */
export function hideCredentials(headers: readonly string[]): readonly string[] {
  return headers.map((text, index) => {
    const isValue = index % 2 === 1;
    return isValue && CREDENTIALS.test(headers[index - 1] ?? "") ? hideCredential(text) : text;
  });
}

const CREDENTIALS = /^(?:proxy-)?authorization$/i;
const SCHEME = /^(?:basic|bearer|digest|token)(?= )/i;

function hideCredential(value: string): string {
  const scheme = SCHEME.exec(value)?.[0];
  return scheme === undefined ? "***" : `${scheme} ***`;
}

// What the fetching of an access token came to.

import type { Exception } from "#delivery/outcome.ts";

export interface AccessToken {
  readonly kind: "token";
  readonly accessToken: string;
  /** The value of the `Authorization` header. */
  readonly authorization: string;
  /** From when on it is to be renewed, on the clock of `performance.now`. */
  readonly dueMs: number;
  /** From when on it is not to be used. */
  readonly endMs: number;
}

export type TokenResult = AccessToken | Exception;

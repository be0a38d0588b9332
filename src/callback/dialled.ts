// What came of the wish for a connection.

import type { Socket } from "node:net";

import type { Exception } from "#delivery/outcome.ts";

export type Dialled =
  | { readonly kind: "connected"; readonly socket: Socket }
  | { readonly kind: "failed"; readonly exception: Exception };

export function toFailed(exception: Exception): Dialled {
  return { kind: "failed", exception };
}

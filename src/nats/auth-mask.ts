// Masks NATS credentials in texts of the server and the client library.

import { createMask, type Mask } from "#lib/mask.ts";
import type { NatsAuth } from "./settings.ts";

/** How long a mask of a `.creds` file is used before the file is read again. */
const CREDS_MS = 5000;

export function createAuthMask(auth: NatsAuth): Mask {
  if (auth.kind !== "creds") return createMask(secretsOf(auth));
  let mask = createMask([]);
  let readAt = -Infinity;
  return (text, end) => {
    const now = performance.now();
    if (now - readAt > CREDS_MS) {
      readAt = now;
      mask = createMask(readLines(auth.read));
    }
    return mask(text, end);
  };
}

function secretsOf(auth: Exclude<NatsAuth, { kind: "creds" }>): readonly string[] {
  switch (auth.kind) {
    case "none":
      return [];
    case "user":
      return [auth.password];
    case "token":
      return [auth.value];
    case "nkey":
      return [auth.seed];
  }
}

/** The JWT and the seed: each stands on a line of its own. */
function readLines(read: () => string): readonly string[] {
  try {
    return read()
      .split(/\r?\n/u)
      .filter((line) => /^(?!-)[\w.-]{16,}$/u.test(line));
  } catch {
    return []; // A file that cannot be read was not sent either.
  }
}

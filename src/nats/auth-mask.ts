// What the server and the client library say of a connection, without what Relay signs in with, should they repeat it.

import { createMask, type Mask } from "#lib/mask.ts";
import type { NatsAuth } from "./settings.ts";

/** A `.creds` file is read anew with each connect: a mask of what it held is as good for so long. */
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

/** The token and the seed, each on a line of its own between others. */
function readLines(read: () => string): readonly string[] {
  try {
    return read()
      .split(/\r?\n/u)
      .filter((line) => /^(?!-)[\w.-]{16,}$/u.test(line));
  } catch {
    return []; // What cannot be read was not sent.
  }
}

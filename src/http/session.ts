// Keeps the sessions of people who signed in: in memory, for 12 hours at most.

import { createHash, randomBytes } from "node:crypto";
import type { Identity } from "./access.ts";

export interface Session {
  readonly identity: Identity;
  /** In ms since 1970. */
  readonly expiresAt: number;
}

export interface Sessions {
  /** It ends with the credentials, after 12 hours at the latest. */
  open: (credentials: {
    identity: Identity;
    expiresAt: number | null;
  }) => Session & { readonly value: string };
  find: (value: string) => Session | null;
  close: (value: string) => void;
}

interface SessionsOptions {
  readonly now?: () => number;
  /** With one more the oldest ends. */
  readonly maxSessions?: number;
}

const MAX_AGE_MS = 12 * 60 * 60 * 1000;
const VALUE_BYTES = 32;

export function createSessions({ now = Date.now, maxSessions = 1000 }: SessionsOptions = {}): Sessions {
  /** By the digest of their value: how long a look-up takes tells nothing of a value. */
  const sessions = new Map<string, Session>();
  return {
    open({ identity, expiresAt }) {
      const value = randomBytes(VALUE_BYTES).toString("base64url");
      const session = { identity, expiresAt: Math.min(expiresAt ?? Infinity, now() + MAX_AGE_MS) };
      sessions.set(digestOf(value), session);
      const [oldest] = sessions.keys();
      if (sessions.size > maxSessions && oldest !== undefined) sessions.delete(oldest);
      return { ...session, value };
    },
    find(value) {
      const digest = digestOf(value);
      const session = sessions.get(digest);
      if (session === undefined) return null;
      if (session.expiresAt > now()) return session;
      sessions.delete(digest);
      return null;
    },
    close: (value) => void sessions.delete(digestOf(value)),
  };
}

function digestOf(value: string): string {
  return createHash("sha256").update(value).digest("base64");
}

// Checks credentials by `server.auth`: an identity, or a problem. It never throws for wrong credentials.

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { ServerAuth } from "#config/resolve-server.ts";
import type { Logger } from "#lib/logger.ts";
import type { Identity } from "./access.ts";
import { createTokenAuth, type TokenAuthOptions } from "./auth-jwt.ts";
import { createFailedTries } from "./failed-tries.ts";
import type { Problem } from "./problem.ts";

export type Credentials =
  | { readonly kind: "bearer"; readonly token: string }
  | { readonly kind: "basic"; readonly username: string; readonly password: string };

type Authentication =
  | {
      readonly kind: "identified";
      readonly identity: Identity;
      /** In ms since 1970, when the credentials end; null: never. */
      readonly expiresAt: number | null;
    }
  | { readonly kind: "refused"; readonly problem: Problem };

export interface Auth {
  readonly kind: ServerAuth["kind"];
  /** Null credentials: none were sent, or of a kind that is not known. Wrong ones may wait, until `signal` aborts. */
  readonly authenticate: (credentials: Credentials | null, from: Sender) => Promise<Authentication>;
}

interface Sender {
  /** The caller's IP address: of a proxy, that of all who come through it. */
  readonly address: string;
  readonly signal: AbortSignal;
}

interface AuthOptions extends Partial<TokenAuthOptions> {
  readonly logger: Logger;
  /** In ms, monotonic: a clock set back would block an address for ever. */
  readonly now?: () => number;
}

const OPERATOR: Authentication = { kind: "identified", identity: { kind: "operator" }, expiresAt: null };
const BEARER_CHALLENGE = 'Bearer realm="relay"';
const BASIC_CHALLENGE = 'Basic realm="relay", charset="UTF-8"';

export function createAuth(
  settings: ServerAuth,
  { now = () => performance.now(), ...options }: AuthOptions,
): Auth {
  switch (settings.kind) {
    case "none":
      return { kind: settings.kind, authenticate: () => Promise.resolve(OPERATOR) };
    case "token": {
      const check = createComparison([settings.value], now);
      return {
        kind: settings.kind,
        async authenticate(credentials, from) {
          if (credentials?.kind !== "bearer") return refuse("Credentials are needed", BEARER_CHALLENGE);
          const challenge = `${BEARER_CHALLENGE}, error="invalid_token"`;
          return toAuthentication(await check([credentials.token], from), challenge);
        },
      };
    }
    case "basic": {
      const check = createComparison([settings.username, settings.password], now);
      return {
        kind: settings.kind,
        async authenticate(credentials, from) {
          if (credentials?.kind !== "basic") return refuse("Credentials are needed", BASIC_CHALLENGE);
          const verdict = await check([credentials.username, credentials.password], from);
          return toAuthentication(verdict, BASIC_CHALLENGE);
        },
      };
    }
    case "jwt": {
      const authenticate = createTokenAuth(settings, options);
      return {
        kind: settings.kind,
        async authenticate(credentials) {
          if (credentials?.kind !== "bearer") return refuse("Credentials are needed", BEARER_CHALLENGE);
          const result = await authenticate(credentials.token);
          if (result.kind === "unavailable") {
            const detail = "The keys that tokens are checked with cannot be fetched";
            return { kind: "refused", problem: { status: 503, detail, headers: { "retry-after": "5" } } };
          }
          if (result.kind === "invalid") {
            return refuse(result.reason, `${BEARER_CHALLENGE}, error="invalid_token"`);
          }
          return { kind: "identified", identity: result.identity, expiresAt: result.expiresAt };
        },
      };
    }
  }
}

/** From the `Authorization` header; null: there is none, or none that can be read. */
export function readCredentials(headers: Headers): Credentials | null {
  const [, scheme = "", value = ""] = /^(\w+) +(\S+)$/u.exec(headers.get("authorization") ?? "") ?? [];
  if (scheme.toLowerCase() === "bearer") return { kind: "bearer", token: value };
  if (scheme.toLowerCase() !== "basic") return null;
  const pair = Buffer.from(value, "base64").toString("utf8");
  const colon = pair.indexOf(":");
  return colon < 0
    ? null
    : { kind: "basic", username: pair.slice(0, colon), password: pair.slice(colon + 1) };
}

type Verdict = "right" | "wrong" | "throttled";

/**
 * Compares digests of equal length under a key of its own, so that the time it takes tells nothing. What is right comes
 * in at once, however many guesses come from the same address: behind a proxy everybody shares one.
 */
function createComparison(
  expected: readonly string[],
  now: () => number,
): (given: readonly string[], from: Sender) => Promise<Verdict> {
  const key = randomBytes(32);
  const digestOf = (parts: readonly string[]) =>
    createHmac("sha256", key).update(JSON.stringify(parts)).digest();
  const right = digestOf(expected);
  const tries = createFailedTries(now);
  return async (given, { address, signal }) => {
    const digest = digestOf(given);
    if (timingSafeEqual(digest, right)) return "right";
    const name = digest.toString("base64");
    if (tries.isKnown(name)) return "wrong";
    if (tries.mayTry(address)) {
      tries.add(address, name);
      return "wrong";
    }
    await tries.takeTurn(address, signal);
    return "throttled";
  };
}

function toAuthentication(verdict: Verdict, challenge: string): Authentication {
  switch (verdict) {
    case "right":
      return OPERATOR;
    case "wrong":
      return refuse("The credentials are wrong", challenge);
    case "throttled": {
      const detail = "Too many wrong credentials came from this address";
      return { kind: "refused", problem: { status: 429, detail, headers: { "retry-after": "1" } } };
    }
  }
}

function refuse(detail: string, challenge: string): Authentication {
  return {
    kind: "refused",
    problem: { status: 401, detail, headers: { "www-authenticate": challenge } },
  };
}

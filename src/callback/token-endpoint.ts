// Fetches an access token: one request to a token endpoint, over a connection of its own.

import type { Route } from "#delivery/callback.ts";
import type { Exception } from "#delivery/outcome.ts";
import { retryAfterMs as retryAfterMsOf } from "./answer.ts";
import type { OnDenied } from "./connector.ts";
import { toException } from "./exception.ts";
import { createPoster } from "./poster.ts";
import { readTokenAnswer } from "./token-answer.ts";
import { type TokenAuth, type TokenRequest, toTokenRequest } from "./token-request.ts";

export interface AccessToken {
  readonly kind: "token";
  readonly accessToken: string;
  /** The value of the `Authorization` header. */
  readonly authorization: string;
  /** Renew it from this time on, on the clock of `performance.now`. */
  readonly dueMs: number;
  /** Do not use it from this time on. */
  readonly endMs: number;
}

export type TokenResult = AccessToken | Exception;

interface TokenEndpointSettings {
  readonly auth: TokenAuth;
  readonly route: Route;
  /** For one request and its answer, connecting included. */
  readonly timeoutMs: number;
  readonly maxPauseMs: number;
  readonly onDenied: OnDenied | undefined;
}

interface TokenEndpoint {
  /** Never rejects. Await each call before the next one. */
  readonly fetch: () => Promise<TokenResult>;
  /** Aborts the fetch in progress, and each later one at once. */
  readonly close: () => void;
}

/** The only statuses whose `Retry-After` pauses all requests. */
const HOLDING_STATUSES: ReadonlySet<number> = new Set([429, 503]);
/** The part of its lifetime after which a token is renewed. */
const DUE_PART = 0.8;

export function createTokenEndpoint({
  auth,
  route,
  timeoutMs,
  maxPauseMs,
  onDenied,
}: TokenEndpointSettings): TokenEndpoint {
  const { tokenUrl: url, tokenDisplayUrl: shown } = auth;
  const querySecrets = [url.search.slice(1), ...url.searchParams.values()];
  const late = toException("token", lateReason(timeoutMs));
  const { post, isForwarded, close } = createPoster({ url, route, timeoutMs, late, isKept: false, onDenied });

  async function fetch(): Promise<TokenResult> {
    const request = await signRequest();
    if (request === null) return toTokenException(shown, "the assertion cannot be signed");
    const sentAtMs = performance.now();
    const end = await post([...COMMON_HEADERS, ...request.headers], Buffer.from(request.body));
    if (end.kind === "failed") return toFetchException(shown, end.exception);
    // A proxy might repeat its credentials. Even a masked answer would tell a tenant, who chose the endpoint, that it does.
    const secrets = isForwarded ? null : [...request.secrets, ...querySecrets];
    const answer = readTokenAnswer({ ...end, tokenType: auth.tokenType, secrets });
    if (answer.kind === "refused") {
      const retryAfterMs = HOLDING_STATUSES.has(end.status)
        ? retryAfterMsOf(end.headers["retry-after"], new Date())
        : null;
      const exception = toTokenException(shown, answer.reason);
      return retryAfterMs === null
        ? exception
        : { ...exception, retryAfterMs: Math.min(retryAfterMs, maxPauseMs) };
    }
    const lifetimeMs = answer.lifetimeMs ?? Infinity;
    return {
      kind: "token",
      accessToken: answer.accessToken,
      authorization: `Bearer ${answer.accessToken}`,
      dueMs: sentAtMs + lifetimeMs * DUE_PART,
      endMs: sentAtMs + lifetimeMs,
    };
  }

  /** null: the key cannot sign (config validation rejects such keys). */
  async function signRequest(): Promise<TokenRequest | null> {
    try {
      return await toTokenRequest(auth);
    } catch {
      return null;
    }
  }

  return { fetch, close };
}

const COMMON_HEADERS = ["Content-Type", "application/x-www-form-urlencoded"];

/** No token arrived in time. */
export function toLateException(displayUrl: string, limitMs: number): Exception {
  return toTokenException(displayUrl, lateReason(limitMs));
}

function lateReason(limitMs: number): string {
  return `it did not answer within ${limitMs} ms`;
}

/** Errors of the endpoint keep their words; errors that say nothing about it keep their code too. */
function toFetchException(displayUrl: string, { code, error }: Exception): Exception {
  const reason = `${error.slice(0, 1).toLowerCase()}${error.slice(1)}`;
  const exception = toTokenException(displayUrl, reason);
  return code === "address-denied" || code === "descriptors" ? { ...exception, code } : exception;
}

function toTokenException(displayUrl: string, reason: string): Exception {
  return toException("token", `Cannot get an access token from ${displayUrl}: ${reason}`);
}

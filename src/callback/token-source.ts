// The access token of a subscription: fetched once for all who wait, kept while it holds, renewed before it ends.

import type { CallbackSettings } from "#delivery/callback.ts";
import type { OnDenied } from "./connector.ts";
import { createTokenEndpoint } from "./token-endpoint.ts";
import type { AccessToken, TokenResult } from "./token-result.ts";

export interface TokenSource {
  /** Of the endpoint, as it may be shown. */
  readonly displayUrl: string;
  /** The token at hand; null: there is none that holds. One that is due is renewed meanwhile. */
  readonly current: () => AccessToken | null;
  /**
   * Waits for a token where none is at hand, or the one at hand is due. Never rejects; ends within the time limit of a
   * fetch. Whoever does not want to wait so long leaves: the fetch goes on for the others.
   */
  readonly obtain: () => Promise<TokenResult>;
  /** The callback refused this token: it is not used again. */
  readonly discard: (token: AccessToken) => void;
  /** The newest tokens, which a callback that was sent them may repeat. The same list until there is another one. */
  readonly recent: () => readonly string[];
  /** Ends the waiting of all. */
  readonly close: () => void;
}

/** A token that still holds is not asked for again at once where its renewal failed. */
const RENEWAL_PAUSE_MS = 1000;
const MAX_RECENT = 4;

/** Null: the callback asks for no access token. */
export function createTokenSource(
  { auth, route, readTimeoutMs }: CallbackSettings,
  onDenied: OnDenied | undefined,
): TokenSource | null {
  if (auth.kind !== "oauth2" && auth.kind !== "jwt-profile") return null;
  const endpoint = createTokenEndpoint({ auth, route, timeoutMs: readTimeoutMs, onDenied });
  let held: AccessToken | null = null;
  let recent: readonly string[] = [];
  let pending: Promise<TokenResult> | null = null;
  let renewNotBeforeMs = 0;

  function current(): AccessToken | null {
    if (held === null) return null;
    const nowMs = performance.now();
    if (nowMs < held.dueMs) return held;
    if (nowMs >= held.endMs) return null;
    // Not waited for: whoever has no token then waits for the same fetch.
    if (nowMs >= renewNotBeforeMs) void fetchShared();
    return held;
  }

  async function obtain(): Promise<TokenResult> {
    const token = current();
    if (token !== null && (pending === null || performance.now() < token.dueMs)) return token;
    const result = await fetchShared();
    return result.kind === "token" ? result : (current() ?? result);
  }

  function fetchShared(): Promise<TokenResult> {
    pending ??= fetchOne();
    return pending;
  }

  async function fetchOne(): Promise<TokenResult> {
    const result = await endpoint.fetch();
    pending = null;
    if (result.kind === "token") hold(result);
    else renewNotBeforeMs = performance.now() + RENEWAL_PAUSE_MS;
    return result;
  }

  function hold(token: AccessToken): void {
    held = token;
    if (!recent.includes(token.accessToken)) recent = [...recent, token.accessToken].slice(-MAX_RECENT);
  }

  return {
    displayUrl: auth.tokenDisplayUrl,
    current,
    obtain,
    discard(token) {
      if (token === held) held = null;
    },
    recent: () => recent,
    close: endpoint.close,
  };
}

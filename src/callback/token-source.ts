// The access token of a subscription: fetched once for all waiting sends, cached, renewed before it expires.

import type { CallbackSettings } from "#delivery/callback.ts";
import type { Exception } from "#delivery/outcome.ts";
import { sleep } from "#lib/sleep.ts";
import type { OnDenied } from "./connector.ts";
import { type AccessToken, createTokenEndpoint, type TokenResult } from "./token-endpoint.ts";

export interface TokenSource {
  /** URL of the endpoint, without secrets. */
  readonly displayUrl: string;
  /** The valid token at hand, or null. Renews a token that is due in the background. */
  readonly current: () => AccessToken | null;
  /**
   * Waits for a token if none is at hand, or the one at hand is due. Never rejects; ends within the time limit of a fetch.
   * Callers may stop waiting earlier: the fetch continues for the others.
   */
  readonly obtain: () => Promise<TokenResult>;
  /** The callback refused this token. True: `obtain` will give another one soon. False: the replacement has to wait. */
  readonly refuse: (token: AccessToken) => boolean;
  /** The newest tokens, which a callback may repeat in its answer. The same list until a token changes. */
  readonly recent: () => readonly string[];
  /** Ends all waits. */
  readonly close: () => void;
}

/** Pause after a failed renewal, while the old token is still valid. */
const RENEWAL_PAUSE_MS = 1000;
/** A refused token younger than this is not replaced at once: a callback that refuses all would cost a token for each message. */
const YOUNG_MS = 10_000;
const REPLACEMENT = { initialMs: 1000, maxMs: 60_000 };
/** Wait for a replacement that is due this soon, if there is twice the time. */
const SOON_MS = 1000;
const MAX_RECENT = 4;

/** null: the callback needs no access token. */
export function createTokenSource(
  { auth, route, readTimeoutMs, maxPauseMs }: CallbackSettings,
  onDenied: OnDenied | undefined,
): TokenSource | null {
  if (auth.kind !== "oauth2" && auth.kind !== "jwt-profile") return null;
  const endpoint = createTokenEndpoint({ auth, route, timeoutMs: readTimeoutMs, maxPauseMs, onDenied });
  const closing = new AbortController();
  const soonMs = Math.min(SOON_MS, readTimeoutMs / 2);
  let held: AccessToken | null = null;
  let recent: readonly string[] = [];
  let pending: Promise<TokenResult> | null = null;
  let renewNotBeforeMs = 0;
  let heldSinceMs = 0;
  /** When to replace a refused token, on the clock of `performance.now`; null: the token was not refused. */
  let replaceAtMs: number | null = null;
  /** Refusals in a row of tokens younger than `YOUNG_MS`. */
  let youngRefusals = 0;
  /** The pause that the endpoint asked for by `Retry-After`; null: none. */
  let pause: { readonly exception: Exception; readonly untilMs: number } | null = null;

  function current(): AccessToken | null {
    if (held === null) return null;
    const nowMs = performance.now();
    if (replaceAtMs !== null && replaceAtMs <= nowMs + soonMs) return null;
    if (nowMs < held.dueMs) return held;
    if (nowMs >= held.endMs) return null;
    // Not awaited: senders without a token wait for the same fetch.
    if (replaceAtMs === null && nowMs >= renewNotBeforeMs) void fetchShared();
    return held;
  }

  async function obtain(): Promise<TokenResult> {
    const token = current();
    if (token !== null && (pending === null || performance.now() < token.dueMs)) return token;
    const result = await fetchShared();
    return result.kind === "token" ? result : (current() ?? result);
  }

  function fetchShared(): Promise<TokenResult> {
    const waitMs = pause === null ? 0 : pause.untilMs - performance.now();
    if (pause !== null && waitMs > 0) return Promise.resolve({ ...pause.exception, retryAfterMs: waitMs });
    pending ??= fetchOne();
    return pending;
  }

  async function fetchOne(): Promise<TokenResult> {
    const nowMs = performance.now();
    const waitMs = replaceAtMs === null || held === null || nowMs >= held.endMs ? 0 : replaceAtMs - nowMs;
    if (waitMs > 0) await sleep(waitMs, closing.signal);
    const result = await endpoint.fetch();
    pending = null;
    if (result.kind === "token") {
      hold(result);
      return result;
    }
    const failedAtMs = performance.now();
    renewNotBeforeMs = failedAtMs + RENEWAL_PAUSE_MS;
    const { retryAfterMs = 0 } = result;
    pause = retryAfterMs > 0 ? { exception: result, untilMs: failedAtMs + retryAfterMs } : null;
    return result;
  }

  function hold(token: AccessToken): void {
    held = token;
    heldSinceMs = performance.now();
    replaceAtMs = null;
    if (!recent.includes(token.accessToken)) recent = [...recent, token.accessToken].slice(-MAX_RECENT);
  }

  function replacementDelayMs(ageMs: number): number {
    youngRefusals = ageMs < YOUNG_MS ? youngRefusals + 1 : 0;
    const { initialMs, maxMs } = REPLACEMENT;
    return youngRefusals === 0 ? 0 : Math.min(maxMs, initialMs * 2 ** (youngRefusals - 1));
  }

  return {
    displayUrl: auth.tokenDisplayUrl,
    current,
    obtain,
    refuse(token) {
      // Another send was refused the same token and has already asked for a new one.
      if (token !== held) return true;
      const nowMs = performance.now();
      replaceAtMs ??= nowMs + replacementDelayMs(nowMs - heldSinceMs);
      return replaceAtMs <= nowMs + soonMs;
    },
    recent: () => recent,
    close() {
      closing.abort();
      endpoint.close();
    },
  };
}

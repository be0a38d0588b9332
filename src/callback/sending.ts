// One send: gets an access token, runs the exchange, and repeats it once after a 401.
//
//   waiting for a token -> exchange -> ended
//            ^                |
//            '-- 401, once ---'
//
// Without an access token it is the exchange alone.

import type { Exception } from "#delivery/outcome.ts";
import { withAuthorization } from "./authorization.ts";
import { toException } from "./exception.ts";
import {
  type ExchangeEnd,
  type RunningExchange,
  expireExchange,
  startExchange,
  stopExchange,
} from "./exchange.ts";
import type { Slots } from "./slots.ts";
import type { Target } from "./target.ts";
import { toLateException } from "./token-endpoint.ts";
import type { AccessToken } from "./token-endpoint.ts";
import type { TokenSource } from "./token-source.ts";

/** The settings that all sends of a callback share. */
export interface SendContext {
  readonly target: Target;
  /** Host and port, for messages. */
  readonly address: string;
  readonly slots: Slots;
  /** null: the callback needs no access token. */
  readonly tokens: TokenSource | null;
  /** Time limit of a send, for messages. */
  readonly limitMs: number;
}

/** Request prefixes for a kept connection and for a single-use one. */
export interface Prefixes {
  readonly kept: string;
  readonly own: string;
}

interface SendingSettings {
  readonly context: SendContext;
  readonly prefixes: Prefixes;
  /** The header lines, without an access token. */
  readonly lines: string;
  readonly body: Uint8Array;
  /** May repeat the request on a new connection or with a new token. False: the send has a connection of its own. */
  readonly mayResend: boolean;
  /** Not used here: the caller stops its sends when it aborts. */
  readonly signal: AbortSignal;
  /** Called once, maybe before `startSending` returns. */
  readonly onEnd: (end: ExchangeEnd, sending: Sending) => void;
}

/** Written to in this file only. */
export interface Sending {
  readonly settings: SendingSettings;
  /** null: it waits for a token. */
  exchange: RunningExchange | null;
  token: AccessToken | null;
  /** True: it has been repeated with a second token. */
  isRepeated: boolean;
  /** True: it has ended, so nothing more may start. */
  isExpired: boolean;
  /** A byte of a request may have been sent. */
  isSent: boolean;
  resends: number;
  hasEnded: boolean;
}

const UNAUTHORIZED = 401;

/** On the hot path: without tokens, or with one at hand, the request is in flight when this returns. */
export function startSending(settings: SendingSettings): Sending {
  const sending: Sending = {
    settings,
    exchange: null,
    token: null,
    isRepeated: false,
    isExpired: false,
    isSent: false,
    resends: 0,
    hasEnded: false,
  };
  const { tokens } = settings.context;
  if (tokens === null) exchange(sending, settings.lines);
  else authorize(sending, tokens);
  return sending;
}

/** Ends it with `exception`; an unsent request is not sent. No effect once it has ended. */
export function stopSending(sending: Sending, exception: Exception): void {
  if (sending.hasEnded) return;
  sending.isExpired = true;
  if (sending.exchange === null) end(sending, { kind: "failed", exception });
  else stopExchange(sending.exchange, exception);
}

/** The time limit has passed. A status other than 2xx counts even if the body is incomplete. */
export function expireSending(sending: Sending): void {
  const { address, limitMs, tokens } = sending.settings.context;
  const { exchange: running } = sending;
  if (running === null) {
    if (tokens !== null) stopSending(sending, toLateException(tokens.displayUrl, limitMs));
    return;
  }
  sending.isExpired = true;
  const what = running.isSent ? "complete answer from" : "connection to";
  expireExchange(running, toException("timeout", `No ${what} ${address} within ${limitMs} ms`));
}

function authorize(sending: Sending, source: TokenSource): void {
  const token = source.current();
  if (token === null) awaitToken(sending, source);
  else exchangeWith(sending, token);
}

function awaitToken(sending: Sending, source: TokenSource): void {
  // Never rejects. If the send has ended meanwhile, the token stays for the others.
  void source.obtain().then((result) => {
    if (sending.hasEnded) return;
    if (result.kind === "token") exchangeWith(sending, result);
    else end(sending, { kind: "failed", exception: result });
  });
}

function exchangeWith(sending: Sending, token: AccessToken): void {
  sending.token = token;
  exchange(sending, withAuthorization(sending.settings.lines, token));
}

function exchange(sending: Sending, lines: string): void {
  const { context, prefixes, body, mayResend } = sending.settings;
  const { target, address, slots } = context;
  sending.exchange = startExchange({
    connection: mayResend ? slots.take() : slots.takeOwn(),
    request: { prefix: mayResend ? prefixes.kept : prefixes.own, lines, body },
    address,
    mayResend,
    isForwarded: target.isForwarded,
    onEnd: (result, ended) => onExchangeEnd(sending, result, ended),
  });
}

function onExchangeEnd(sending: Sending, result: ExchangeEnd, ended: RunningExchange): void {
  const { context, mayResend } = sending.settings;
  context.slots.giveBack(ended.settings.connection);
  sending.isSent ||= ended.isSent;
  sending.resends += ended.resends;
  const isRefused = result.kind === "answered" && result.status === UNAUTHORIZED && !sending.isRepeated;
  if (!isRefused || context.tokens === null || sending.token === null) return end(sending, result);
  const mayHelp = context.tokens.refuse(sending.token);
  if (!mayHelp || !mayResend || sending.isExpired) return end(sending, result);
  sending.isRepeated = true;
  sending.exchange = null;
  awaitToken(sending, context.tokens);
}

function end(sending: Sending, result: ExchangeEnd): void {
  sending.hasEnded = true;
  sending.settings.onEnd(result, sending);
}

/** Resolves with null when a token, if one is needed, and a connection are ready. Takes the time limit of a send at most. */
export async function preconnect(
  { tokens, slots, address, limitMs }: SendContext,
  signal: AbortSignal,
): Promise<Exception | null> {
  const deadlineMs = performance.now() + limitMs;
  // A fetch or dial in progress continues for others.
  const unlessAborted = (result: Promise<Exception | null>) => endWithSignal(result, { signal, address });
  if (tokens !== null) {
    const token = tokens.obtain().then((result) => (result.kind === "token" ? null : result));
    const exception = await unlessAborted(token);
    if (exception !== null) return exception;
  }
  return unlessAborted(slots.prepareOwn(Math.max(0, deadlineMs - performance.now())));
}

function endWithSignal(
  result: Promise<Exception | null>,
  { signal, address }: { readonly signal: AbortSignal; readonly address: string },
): Promise<Exception | null> {
  const { promise, resolve } = Promise.withResolvers<Exception | null>();
  const onAbort = () => resolve(toException("connect", `Cannot reach ${address}: interrupted`));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort);
  // Never rejects.
  void result.then((exception) => {
    signal.removeEventListener("abort", onAbort);
    resolve(exception);
  });
  return promise;
}
